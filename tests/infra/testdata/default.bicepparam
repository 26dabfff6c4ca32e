// What `azd up` makes when nothing but a name and a region is said.
using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param principalId = '11111111-1111-4111-8111-111111111111'
