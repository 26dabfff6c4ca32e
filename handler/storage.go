package main

import (
	"xarchive/handler/internal/blob"
	"xarchive/handler/internal/config"
	"xarchive/handler/internal/outbound"
	"xarchive/handler/internal/secrets"
)

// kept is what the connector keeps in its storage account, for commands.
type kept struct {
	archive, state *blob.Container
}

// openStorage returns the containers to which the storage settings lead. Nothing is sent
// yet, and the containers are never made: a command for the wrong account finds nothing.
func openStorage(getenv func(string) string) (kept, error) {
	cfg, err := config.LoadArchive(getenv)
	if err != nil {
		return kept{}, err
	}
	direct, err := outbound.New(outbound.Options{CAFile: getenv("SSL_CERT_FILE")})
	if err != nil {
		return kept{}, err
	}
	account := blob.Account{URL: cfg.StorageAccountURL, ConnectionString: cfg.StorageConnectionString, HTTP: direct, Buffers: blob.NewBuffers(uploadMemory)}
	if account.ConnectionString == "" {
		if account.Credential, err = secrets.Credential(getenv, direct); err != nil {
			return kept{}, err
		}
	}
	return kept{archive: account.Existing(cfg.ArchiveContainer), state: account.Existing(cfg.StateContainer)}, nil
}
