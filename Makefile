# make help lists what there is.

# TSX_DISABLE_CACHE: nothing outside the project folder is written.

.DEFAULT_GOAL := help
.PHONY: help start test check format clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

start: node_modules ## Serve, with an embedded Postgres unless DATABASE_URL is set
	@TSX_DISABLE_CACHE=1 exec node --max-old-space-size=512 --import ./src/typescript.mjs src/main.ts

test: node_modules ## Run every check and every test
	@npm run --silent check
	@npm run --silent test

check: node_modules ## Check types, style, format and unused code
	@npm run --silent check

format: node_modules ## Fix style and format
	@npm run --silent format

clean: ## Remove packages and all local data, the embedded database included
	rm -rf node_modules .data

# Written by npm at the end of an install, so an interrupted one is done again.
node_modules: node_modules/.package-lock.json

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@
