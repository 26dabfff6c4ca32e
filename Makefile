# What a newcomer needs: `make demo` (see it work), `make test` (prove it).
# Both need Go and Node.js only, and write inside this folder only; the browser's
# tests need Chromium besides, which `make test` installs where it may.

GO      ?= go
NATIVE  := build/native
export CGO_ENABLED ?= 0
export npm_config_cache := $(CURDIR)/build/cache/npm

# The packages that the race detector looks at: all but those that only drive
# other processes.
RACE := ./handler/... ./tests/sandbox/...

.PHONY: demo test race bench start sandbox package lint chromium clean

demo: $(NATIVE) tests/node_modules/.ready ## everything local, ends by showing what was archived
	@$(GO) run ./tests/demo -app $(NATIVE) $(if $(CORPUS),-corpus "$(CORPUS)") $(if $(KEEP),-keep)

test: tests/node_modules/.ready tests/browser/node_modules/.ready chromium ## unit, integration, end-to-end and browser tests
	$(GO) test -count=1 -parallel 4 -timeout 15m ./...

race: tests/node_modules/.ready ## under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -count=1 -race -timeout 15m $(RACE)

bench: $(NATIVE) ## what the connector costs (calls, bytes, CPU, memory), into docs/performance.md; Linux only
	@$(GO) run ./tests/bench -app $(NATIVE) -doc docs/performance.md

start: ## the Functions host on http://localhost:7071, with the settings of local.settings.json
	@$(GO) build -o build/start ./tests/start && exec build/start -app $(NATIVE)

sandbox: tests/node_modules/.ready ## stand-ins for X, Entra, Key Vault, storage and the Import service, for 'make start'
	@$(GO) run ./tests/demo -serve $(if $(CORPUS),-corpus "$(CORPUS)")

package: ## build/app: what is deployed (linux/amd64)
	@$(GO) run ./scripts/azure prepackage

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l handler tests scripts | grep -v node_modules)" || { echo "gofmt wants to change:"; gofmt -l handler tests scripts | grep -v node_modules; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

# Debian's Chromium, where it is missing and may be installed; elsewhere the tests
# say what to install.
chromium:
	@if command -v chromium chromium-browser google-chrome >/dev/null || [ -n "$$CHROMIUM" ]; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then echo "Installing Chromium (apt) …"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; fi

clean:
	rm -rf build tests/node_modules tests/browser/node_modules tests/infra/node_modules

include scripts/release.mk

.PHONY: $(NATIVE)
$(NATIVE):
	@$(GO) run ./scripts/stage $(NATIVE)

%/node_modules/.ready: %/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer (https://nodejs.org), then run make again."; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || { echo "Node.js is too old: install version 20 or newer (https://nodejs.org), then run make again."; exit 1; }
	@echo "Installing what $* needs (npm) …"
	@cd $* && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@
