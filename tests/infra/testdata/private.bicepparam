// Storage and Key Vault behind private endpoints.
using '../../../infra/main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param principalId = '11111111-1111-4111-8111-111111111111'
param privateNetwork = true
param allowedIpAddresses = '203.0.113.7, 203.0.113.8'
param alertEmail = 'operator@contoso.example'
