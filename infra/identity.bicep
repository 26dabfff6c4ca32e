// The app's identity: it opens storage, Key Vault and Application Insights, so
// that there is no key for any of them. User-assigned, because it must exist
// before the app does: the app's first start already needs its storage.
import { tagsOfAll } from 'types.bicep'

param name string
param location string
param tags tagsOfAll

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

output id string = identity.id
output clientId string = identity.properties.clientId
output principalId string = identity.properties.principalId
