package config

import (
	"net/url"
	"strings"

	"xarchive/handler/internal/loopback"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// schemes says which URLs a setting takes.
type schemes int

const (
	// httpsOnly: a token goes there which Azure's SDK sends over TLS only.
	httpsOnly schemes = iota
	// httpOnLoopback takes http too, but only to this machine, for stand-ins.
	httpOnLoopback
	// httpToo: nothing that goes there is a secret, and what comes back is signed.
	httpToo
)

// url reads the base of an API. It has no trailing slash.
func (s *settings) url(name, standard string, allowed schemes) string {
	value := s.get(name)
	if value == "" {
		return standard
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		s.fault("%s is not an absolute URL: set it to one like https://example.com", name)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		s.fault("%s has more than a host and a path: take off user name, query and fragment", name)
	case u.Scheme == "http" && allowed == httpsOnly:
		s.fault("%s is %q: it must be https, the connector's identity is not shown over plain http", name, value)
	case u.Scheme == "http" && allowed != httpToo && !loopback.Host(u.Hostname()):
		s.fault("%s is %q: it must be https (http is for this machine only)", name, value)
	case name == "KEY_VAULT_URL" && strings.Trim(u.Path, "/") != "":
		s.fault("%s is %q: set it to the vault alone, like https://example.vault.azure.net", name, value)
	default:
		return strings.TrimRight(value, "/")
	}
	return ""
}

// storage reads how the storage account is reached; exactly one of the two is given.
func (s *settings) storage() (accountURL, connectionString string) {
	const urlName, stringName = "STORAGE_ACCOUNT_URL", "STORAGE_CONNECTION_STRING"
	accountURL, connectionString = s.url(urlName, "", httpsOnly), s.get(stringName)
	switch {
	case s.get(urlName) != "" && connectionString != "":
		s.fault("%s and %s are both set: keep %s (managed identity), or the other for local work, not both", urlName, stringName, urlName)
	case s.get(urlName) == "" && connectionString == "":
		s.fault("neither %s nor %s is set: set %s to the storage account's blob endpoint, like https://example.blob.core.windows.net", urlName, stringName, urlName)
	case connectionString != "" && !isDevelopmentStorage(connectionString):
		s.checkConnectionString(stringName, connectionString)
	}
	return accountURL, connectionString
}

// isDevelopmentStorage recognizes the shorthand for Azurite, which Azure's SDK
// for Go does not know.
func isDevelopmentStorage(text string) bool {
	text = strings.TrimRight(strings.ReplaceAll(text, " ", ""), ";")
	return strings.EqualFold(text, "UseDevelopmentStorage=true")
}

// checkConnectionString has Azure's SDK take the string apart. Neither the string
// nor the SDK's error is repeated: both can hold the account's key.
func (s *settings) checkConnectionString(name, text string) {
	if strings.Contains(strings.ToLower(text), "sharedaccesssignature=") {
		s.fault("%s holds a shared access signature, which would end up in URLs and errors: use STORAGE_ACCOUNT_URL with the managed identity, or a connection string with the account's key", name)
		return
	}
	client, err := container.NewClientFromConnectionString(text, "c", nil)
	if err != nil {
		s.fault("%s is not a storage account's connection string: copy it whole from the account's page Access keys, or use UseDevelopmentStorage=true", name)
		return
	}
	u, err := url.Parse(client.URL())
	if err != nil || u.Scheme != "https" && !loopback.Host(u.Hostname()) {
		s.fault("%s leads to a blob endpoint that is not https (http is for this machine only)", name)
	}
}
