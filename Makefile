# What a newcomer needs: `make demo` (see it work), `make test` (prove it); `make`
# alone lists the rest. Both need Go and Node.js only, and write inside this folder
# and Go's own caches only; the browser's tests need Chromium besides, which `make
# test` installs where it may.

GO      ?= go
NATIVE  := build/native
BIN     := build/bin
export CGO_ENABLED ?= 0
export npm_config_cache := $(CURDIR)/build/cache/npm

# The packages that the race detector looks at: all but those that only drive
# other processes.
RACE := ./handler/... ./tests/sandbox/...

# What runs the app in the demo. Shells have a variable of that name, too, which is
# not meant.
DEMOHOST := $(if $(filter command line,$(origin HOST)),$(HOST))

.PHONY: help demo test race attack bench start sandbox package lint chromium azure-cli clean go-is-there compiled

help: ## this list
	@echo "See it work: make demo     Prove it: make test     More: README.md"; echo
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: tests/node_modules/.ready compiled ## everything local, ends by showing what was archived; KEEP=1 stays up, CORPUS=folder takes your own posts, HOST=func or HOST=http://localhost:7071 a real Functions host
	@$(BIN)/stage $(NATIVE) && exec $(BIN)/demo -app $(NATIVE) $(if $(DEMOHOST),-host "$(DEMOHOST)") $(if $(CORPUS),-corpus "$(CORPUS)") $(if $(KEEP),-keep)

test: tests/node_modules/.ready tests/browser/node_modules/.ready chromium compiled ## unit, integration, end-to-end and browser tests
	sh scripts/leaves-nothing $(GO) test -count=1 -parallel 4 -timeout 15m ./...

race: go-is-there tests/node_modules/.ready ## the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -count=1 -race -timeout 15m $(RACE)

attack: go-is-there tests/node_modules/.ready ## 20,000 made-up requests at every door of the running connector; SEED=3 repeats a run
	$(GO) test -count=1 -timeout 15m ./tests/attack -v -requests 20000 $(if $(SEED),-seed $(SEED))

bench: compiled ## what the connector costs (calls, bytes, CPU, memory), into docs/performance.md; Linux only
	@$(BIN)/stage $(NATIVE) && $(GO) run ./tests/bench -app $(NATIVE) -doc docs/performance.md

start: compiled ## the Functions host on http://localhost:7071, with the settings of local.settings.json
	@exec $(BIN)/start -app $(NATIVE)

sandbox: tests/node_modules/.ready compiled ## stand-ins for X, Entra, Key Vault, storage and the Import service, for 'make start'; PORTS=7500 takes other ports
	@exec $(BIN)/demo -serve $(if $(PORTS),-ports "$(PORTS)") $(if $(CORPUS),-corpus "$(CORPUS)")

package: go-is-there ## build/app: what is deployed (linux/amd64)
	@$(GO) run ./scripts/azure prepackage

lint: go-is-there ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l handler tests scripts | grep -v node_modules)" || { echo "gofmt wants to change:"; gofmt -l handler tests scripts | grep -v node_modules; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

# Debian's Chromium, where it is missing and may be installed; elsewhere the tests
# say what to install.
chromium:
	@if command -v chromium chromium-browser google-chrome >/dev/null || [ -n "$$CHROMIUM" ]; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then echo "Installing Chromium (apt) …"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; fi

# What the hooks and the documents ask of az is parsed by the real one in the tests
# where this has been run. It takes some minutes and 750 MB.
azure-cli: ## the real Azure CLI into build/azure-cli, for tests of command lines (needs Python)
	@python3 -m venv build/azure-cli && build/azure-cli/bin/pip install --quiet --disable-pip-version-check azure-cli==2.91.0 && build/azure-cli/bin/az version

clean: ## removes what make has made in this folder
	rm -rf build tests/node_modules tests/browser/node_modules tests/infra/node_modules

include scripts/release.mk

go-is-there:
	@GO=$(GO) sh scripts/go-is-there

# The programs behind the targets, and the connector's own packages as they are built
# for the app (scripts/appfolder), so that what takes minutes shows that it goes on.
compiled: go-is-there
	@mkdir -p $(BIN)
	@{ $(GO) build -v -o $(BIN)/ ./scripts/stage ./tests/demo ./tests/start && $(GO) build -v -trimpath -buildvcs=false ./handler/internal/...; echo "ended $$?"; } 2>&1 | awk -f scripts/progress.awk

%/node_modules/.ready: %/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer (https://nodejs.org), then run make again."; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || { echo "Node.js is too old: install version 20 or newer (https://nodejs.org), then run make again."; exit 1; }
	@echo "Installing what $* needs (npm) …"
	@cd $* && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@
