// Messages that nobody can change or delete for seven years.
using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param principalId = '11111111-1111-4111-8111-111111111111'
param archiveImmutabilityDays = 2557
param archiveRedundancy = 'Standard_GZRS'
