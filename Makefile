# What a newcomer needs: `make demo` (see it work), `make test` (prove it).
# Both need Go and Node.js only, and write inside this folder only.

GO      ?= go
APP     := build/app
NATIVE  := build/native
export CGO_ENABLED ?= 0
export npm_config_cache := $(CURDIR)/build/cache/npm

.PHONY: demo test race start sandbox package lint clean

demo: $(NATIVE) tests/node_modules/.ready ## everything local, ends by showing what was archived
	@$(GO) run ./tests/demo -app $(NATIVE) $(if $(CORPUS),-corpus "$(CORPUS)") $(if $(KEEP),-keep)

test: $(NATIVE) tests/node_modules/.ready ## unit and integration tests
	$(GO) test -count=1 -timeout 15m ./...

race: $(NATIVE) tests/node_modules/.ready ## the same under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -count=1 -race -timeout 15m ./...

start: $(NATIVE) ## the Functions host on http://localhost:7071, with the settings of local.settings.json
	@test -f local.settings.json || { echo "No local.settings.json: run 'cp local.settings.json.sample local.settings.json' (made for 'make sandbox' in another terminal)."; exit 1; }
	@cp local.settings.json $(NATIVE)/
	@if command -v func >/dev/null; then func start --script-root $(NATIVE); else $(GO) run ./tests/start -app $(NATIVE); fi

sandbox: tests/node_modules/.ready ## stand-ins for X, Entra, Key Vault, storage and the Import service, for 'make start'
	@$(GO) run ./tests/demo -serve $(if $(CORPUS),-corpus "$(CORPUS)")

package: ## build/app: what is deployed (linux/amd64)
	@$(call stage,$(APP),GOOS=linux GOARCH=amd64)

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l handler tests)" || { echo "gofmt wants to change:"; gofmt -l handler tests; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

clean:
	rm -rf build tests/node_modules

# The app as the host sees it: every function.json in a direct child folder.
define stage
	rm -rf $(1) && mkdir -p $(1) && cp host.json $(1)/ && cp -R functions/. $(1)/ && \
	$(2) $(GO) build -trimpath -ldflags="-s -w" -o $(1)/handler ./handler
endef

.PHONY: $(NATIVE)
$(NATIVE):
	@$(call stage,$(NATIVE),)

tests/node_modules/.ready: tests/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 18 or newer (https://nodejs.org), then run make again."; exit 1; }
	@echo "Installing Azurite (npm) …"
	@cd tests && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
