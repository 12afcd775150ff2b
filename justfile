# The verbs. Each is one cargo command, so nothing needs `just`.

# What there is
default:
    @just --list

# The servers and a database, until Ctrl-C; what is stored is kept in .posx
up:
    cargo demo --data .posx

# The story, told over HTTP, then serving until Ctrl-C; leaves nothing behind
demo *arguments:
    cargo demo {{arguments}}

# Every test; starts its own PostgreSQL
test:
    cargo test --workspace

# Format, lints, and the rules of the tree
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings
    cargo xtask tidy

# The measurements, against pgbench on the same machine
bench *arguments:
    cargo xtask bench {{arguments}}

# The derived files: docs/openapi.json, docs/errors.md, docs/configuration.md, docs/semantics-coverage.md, .env.example
regen:
    cargo xtask regen

# Roles, schema and queue of the configured database
migrate *arguments:
    cargo run --release --package posx --bin posx -- migrate {{arguments}}

# The whole gate but the tests
verify:
    cargo verify
