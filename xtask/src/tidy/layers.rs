//! Who may depend on whom. Dependencies point one way: apps → adapters → domains → kernel. Tests may look wider, so
//! dev-dependencies are free.

use super::Finding;
use super::manifests::dependency_tables;
use super::tree::{Crate, Layer, Tree};

/// Each domain and the domains it may know. A domain knows only those above it here, so there is no cycle.
const DOMAINS: &[(&str, &[&str])] = &[
    ("posx-ledger", &[]),
    ("posx-tenancy", &[]),
    ("posx-tiers", &["posx-ledger"]),
    ("posx-orders", &["posx-ledger", "posx-tenancy", "posx-tiers"]),
    ("posx-commissions", &["posx-ledger", "posx-tenancy"]),
    ("posx-allocations", &["posx-ledger", "posx-tenancy", "posx-tiers"]),
    ("posx-assistant", &["posx-orders", "posx-tenancy"]),
];

/// Outside crates that belong to few of ours. A name that ends in `*` stands for a family.
const RESERVED: &[Reserved] = &[
    Reserved {
        name: "sqlx",
        users: &["posx-postgres", "posx-worker"],
        why: "SQL stands in the PostgreSQL adapter, and in the job runner where it claims jobs",
    },
    Reserved {
        name: "sea-orm*",
        users: &["posx-postgres"],
        why: "SQL stands in the PostgreSQL adapter",
    },
    Reserved {
        name: "graphile_worker*",
        users: &["posx-postgres", "posx-worker"],
        why: "the queue is the adapter's and the worker's",
    },
    Reserved {
        name: "actix*",
        users: &["posx-api"],
        why: "the HTTP server is one app's business",
    },
    Reserved {
        name: "utoipa-actix-web",
        users: &["posx-api"],
        why: "the HTTP server is one app's business",
    },
    Reserved {
        name: "utoipa-swagger-ui",
        users: &["posx-api"],
        why: "the interactive page is one app's business",
    },
    Reserved {
        name: "axum*",
        users: &["posx-sandbox"],
        why: "it serves the stand-ins of outside systems, nothing of the product",
    },
    Reserved {
        name: "redis",
        users: &["posx-redis"],
        why: "an outside system has one adapter",
    },
    Reserved {
        name: "lettre",
        users: &["posx-mail"],
        why: "an outside system has one adapter",
    },
    Reserved {
        name: "rusty-s3",
        users: &["posx-objects"],
        why: "an outside system has one adapter",
    },
    Reserved {
        name: "reqwest",
        users: &[
            "posx-ethereum",
            "posx-oidc",
            "posx-stripe",
            "posx-fireblocks",
            "posx-objects",
            "posx-sandbox",
            "posx",
            "posx-llm",
        ],
        why: "outside systems are called by their adapters; the demo is a client of the API",
    },
];

struct Reserved {
    name: &'static str,
    users: &'static [&'static str],
    why: &'static str,
}

impl Reserved {
    fn is(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(family) => name.starts_with(family),
            None => self.name == name,
        }
    }
}

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in &tree.crates {
        let Ok(manifest) = &one.manifest else { continue };
        if one.layer == Layer::Domain && !DOMAINS.iter().any(|(name, _)| *name == one.name) {
            findings.push(finding(
                one,
                "name",
                "a new domain: list it in DOMAINS of xtask/src/tidy/layers.rs".to_owned(),
            ));
        }
        for (name, package) in dependencies(manifest) {
            let refused = match tree.package(package) {
                Some(used) => refused_layer(one, used),
                None => refused_outside(one, package),
            };
            findings.extend(
                refused.map(|why| finding(one, name, format!("must not depend on {package}: {why}"))),
            );
        }
    }
    findings
}

/// The key of each dependency and the package that it stands for.
fn dependencies(manifest: &toml::Table) -> impl Iterator<Item = (&str, &str)> {
    let kinds = ["dependencies", "build-dependencies"];
    let all = kinds
        .into_iter()
        .flat_map(|kind| dependency_tables(manifest, kind))
        .flatten();
    all.map(|(name, wanted)| {
        let package = wanted.get("package").and_then(toml::Value::as_str);
        (name.as_str(), package.unwrap_or(name))
    })
}

fn finding(one: &Crate, key: &str, what: String) -> Finding {
    Finding {
        path: one.manifest_path(),
        line: one.line_of(key),
        rule: "layers",
        what,
    }
}

/// Why one crate of ours must not use another; `None` when it may.
fn refused_layer(one: &Crate, used: &Crate) -> Option<&'static str> {
    use Layer::{Adapter, App, Domain, Kernel, Runtime, Shared, Testkit, Tool};
    let may_know_domain = || {
        let listed = DOMAINS.iter().find(|(name, _)| *name == one.name);
        listed.is_some_and(|(_, known)| known.contains(&used.name.as_str()))
    };
    let why = match (one.layer, used.layer) {
        (Tool, _) => return None,
        (_, Testkit) => "the test world is a dev-dependency",
        (Kernel, _) => "the kernel knows nobody",
        (_, Tool) => "nothing needs a tool of the tree to run",
        (Domain, Domain) if !may_know_domain() => {
            "the domains it may know are listed in DOMAINS of xtask/src/tidy/layers.rs"
        }
        (Domain, Shared | Adapter) => "a domain says what it needs as a port; the adapter knows the domain",
        (Shared, Domain | Adapter) => "what adapters share knows the kernel only",
        (Adapter, Adapter) => "adapters do not know each other; share through a port or a crate beside them",
        (Domain | Shared | Adapter | Runtime, App) => "apps stand outside: nothing stands on them",
        (Domain | Shared | Adapter, Runtime) => "apps/runtime wires the adapters; they do not know it",
        (App, App) if one.name != "posx" => "one server does not contain the other; apps/posx runs both",
        _ => return None,
    };
    Some(why)
}

fn refused_outside(one: &Crate, package: &str) -> Option<&'static str> {
    if matches!(one.layer, Layer::Testkit | Layer::Tool) {
        return None;
    }
    let reserved = RESERVED.iter().find(|reserved| reserved.is(package))?;
    let is_user = reserved.users.contains(&one.name.as_str());
    (!is_user).then_some(reserved.why)
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::{DOMAINS, check};

    fn manifest(name: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{name}\"\n\n[dependencies]\n{dependencies}\n")
    }

    #[track_caller]
    fn refuses(dir: &str, name: &str, dependency: &str, said: &str) {
        let kernel = manifest("posx-kernel", "");
        let mut others = vec![
            ("crates/kernel/Cargo.toml", kernel),
            ("crates/orders/Cargo.toml", manifest("posx-orders", "")),
            ("crates/tiers/Cargo.toml", manifest("posx-tiers", "")),
            ("crates/testkit/Cargo.toml", manifest("posx-testkit", "")),
            (
                "crates/adapters/postgres/Cargo.toml",
                manifest("posx-postgres", ""),
            ),
            ("crates/adapters/redis/Cargo.toml", manifest("posx-redis", "")),
            ("apps/runtime/Cargo.toml", manifest("posx-runtime", "")),
            ("apps/api/Cargo.toml", manifest("posx-api", "")),
            ("apps/worker/Cargo.toml", manifest("posx-worker", "")),
        ];
        let path = format!("{dir}/Cargo.toml");
        others.retain(|(other, _)| *other != path);
        let bad = manifest(name, &format!("{dependency}.workspace = true"));
        let mut files: Vec<_> = others.iter().map(|(path, text)| (*path, text.as_str())).collect();
        files.push((&path, &bad));
        assert_finds(check, &files, &[&format!("{path}:5: [layers]"), dependency, said]);
    }

    #[test]
    fn a_domain_knows_only_domains_above_it_in_the_list() {
        for (index, (name, known)) in DOMAINS.iter().enumerate() {
            for one in *known {
                assert!(
                    DOMAINS[..index].iter().any(|(above, _)| above == one),
                    "{name} knows {one}"
                );
            }
        }
    }

    #[test]
    fn wrong_directions_are_found() {
        refuses(
            "crates/kernel",
            "posx-kernel",
            "posx-orders",
            "the kernel knows nobody",
        );
        refuses("crates/tiers", "posx-tiers", "posx-orders", "DOMAINS");
        refuses("crates/orders", "posx-orders", "posx-postgres", "as a port");
        refuses(
            "crates/adapters/redis",
            "posx-redis",
            "posx-postgres",
            "adapters do not know each other",
        );
        refuses(
            "crates/adapters/redis",
            "posx-redis",
            "posx-api",
            "nothing stands on them",
        );
        refuses(
            "crates/adapters/redis",
            "posx-redis",
            "posx-runtime",
            "wires the adapters",
        );
        refuses(
            "apps/runtime",
            "posx-runtime",
            "posx-api",
            "nothing stands on them",
        );
        refuses("apps/api", "posx-api", "posx-worker", "apps/posx runs both");
        refuses("apps/api", "posx-api", "posx-testkit", "dev-dependency");
    }

    #[test]
    fn outside_crates_stay_with_their_owners() {
        refuses("apps/api", "posx-api", "sqlx", "SQL stands in");
        refuses(
            "crates/orders",
            "posx-orders",
            "reqwest",
            "called by their adapters",
        );
        refuses("apps/runtime", "posx-runtime", "actix-web", "one app's business");
        refuses(
            "crates/adapters/redis",
            "posx-redis",
            "graphile_worker",
            "the queue",
        );
    }

    #[test]
    fn a_renamed_dependency_is_known_by_its_package() {
        let text = manifest("posx-api", "db = { package = \"sqlx\", workspace = true }");
        assert_finds(check, &[("apps/api/Cargo.toml", &text)], &[":5:", "sqlx"]);
    }

    #[test]
    fn a_new_domain_is_to_be_listed() {
        let text = manifest("posx-surprise", "");
        assert_finds(
            check,
            &[("crates/surprise/Cargo.toml", &text)],
            &[":2:", "DOMAINS"],
        );
    }

    #[test]
    fn right_directions_and_dev_dependencies_are_fine() {
        let kernel = manifest("posx-kernel", "");
        let orders = manifest(
            "posx-orders",
            "posx-kernel.workspace = true\nposx-tiers.workspace = true",
        );
        let tiers = manifest("posx-tiers", "")
            + "[dev-dependencies]\nposx-testkit.workspace = true\nsqlx.workspace = true\n";
        let posx = manifest("posx", "posx-api.workspace = true\nreqwest.workspace = true");
        let files = [
            ("crates/kernel/Cargo.toml", kernel.as_str()),
            ("crates/orders/Cargo.toml", &orders),
            ("crates/tiers/Cargo.toml", &tiers),
            (
                "crates/testkit/Cargo.toml",
                &manifest("posx-testkit", "sqlx.workspace = true"),
            ),
            (
                "apps/api/Cargo.toml",
                &manifest("posx-api", "posx-orders.workspace = true"),
            ),
            ("apps/posx/Cargo.toml", &posx),
        ];
        assert_clean(check, &files);
    }
}
