# A release: `make release VERSION=1.2.3` leaves in build/release a zip to deploy
# (`az functionapp deployment source config-zip`), the list of what is in it, a zip with
# all that is needed besides az, and their checksums. The same commit and version
# give the same bytes.
.PHONY: release
release: ## build/release: what VERSION gives to users
	@test -n "$(VERSION)" || { echo "Which version? make release VERSION=1.2.3"; exit 1; }
	@$(GO) run ./scripts/release -version "$(VERSION)"
