# A release: `make release VERSION=1.2.3` leaves in build/release a zip to deploy
# (`az functionapp deployment source config-zip`), the list of what is in it, and
# the checksums of both. The same commit and version give the same bytes.
.PHONY: release
release: ## build/release: zip, SBOM and checksums of VERSION
	@test -n "$(VERSION)" || { echo "Which version? make release VERSION=1.2.3"; exit 1; }
	@$(GO) run ./scripts/release -version "$(VERSION)"
