# Starling. `make help` lists the targets.

GO       ?= go
BIN      := bin/starling
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X github.com/starling-rules/starling/cmd/starling/internal/cli.Version=$(VERSION)
FUZZTIME ?= 60s
PACKAGES := ./...

.PHONY: help build run test race lint fmt bench fuzz check tidy tools examples

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the one static binary, bin/starling
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/starling

run: build ## start the local Slack with the quickstart rules; prints its address
	$(BIN) dev examples/quickstart

test: tools ## run all tests, with the race detector; hostile scripts once more without
	$(GO) test -race -timeout 20m $(PACKAGES)
	$(GO) test -timeout 15m -p 1 -run Hostile ./runtime/star ./runtime/lua ./runtime/worker ./cmd/starling

race: test ## the same as test: the race detector is always on

lint: ## report what is badly formatted or suspicious
	@bad=$$($(GO) tool gofumpt -l cmd engine runtime stdlib scripts examples); \
	  if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi
	$(GO) vet $(PACKAGES)
	$(GO) tool staticcheck -checks=all,-ST1000 $(PACKAGES)

fmt: ## format the Go code
	$(GO) tool gofumpt -w cmd engine runtime stdlib scripts examples

bench: build ## Go benchmarks, then acks, webhooks and waiting runs of the server over loopback
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./runtime/... ./stdlib/... ./engine/...
	$(GO) run ./engine/ingress/ackbench
	$(GO) run ./engine/ingress/hookbench -starling $(BIN)
	$(GO) run ./engine/ingress/waitbench -starling $(BIN) -runs 2000 -clicks 200 -timers 200 -settle 5s

fuzz: ## run every fuzz target for FUZZTIME (default 60s each)
	@set -e; for pkg in $$($(GO) list $(PACKAGES)); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; done; done

tidy: ## fail if go.mod or go.sum are not tidy
	$(GO) mod tidy -diff

check: tidy lint test ## what CI runs

# What the tests need beyond Go: a C compiler for the race detector, a browser
# for the test of the page, node and npm for the app on Bolt (node 18, which
# Debian 12 has, is enough). Where apt is not at hand the tests of the last two
# skip, saying so.
tools:
	@missing=""; command -v gcc >/dev/null || missing="$$missing gcc libc6-dev"; \
	  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	  { command -v node && command -v npm; } >/dev/null || missing="$$missing nodejs npm"; \
	  if [ -n "$$missing" ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "installing$$missing"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
