//! Which counterparts there are, what each needs, and how it is started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Software of others, served on a port of its own.
pub(crate) struct Counterpart {
    pub(crate) name: &'static str,
    /// Tests read its address here.
    pub(crate) variable: &'static str,
    pub(crate) needs: &'static [Part],
    /// Answered as soon as it serves.
    pub(crate) probe: &'static str,
    pub(crate) launch: fn(&Places, u16) -> Launch,
}

/// What is installed as one, in a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything of npm.
    Node,
    /// Stripe's OpenAPI document, cut to what our adapter calls.
    StripeDocument,
    Localstripe,
    Ministack,
    Llmock,
    Schemathesis,
}

impl Part {
    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::StripeDocument => "stripe-document",
            Self::Localstripe => "localstripe",
            Self::Ministack => "ministack",
            Self::Llmock => "llmock",
            Self::Schemathesis => "schemathesis",
        }
    }
}

pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// Where things are: the scripts and pins of the tree, and the folder that they are installed into.
pub(crate) struct Places {
    pub(crate) source: PathBuf,
    pub(crate) cache: PathBuf,
    /// Where programs are looked for.
    pub(crate) path: OsString,
}

impl Places {
    /// Below cargo's target directory: what was installed is derived, and `cargo clean` takes it.
    pub(crate) fn of(root: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        Self {
            source: root.join("counterparts"),
            cache: root.join(target).join("counterparts"),
            path: std::env::var_os("PATH").unwrap_or_default(),
        }
    }

    pub(crate) fn of_part(&self, part: Part) -> PathBuf {
        self.cache.join(part.folder())
    }

    fn node(&self, script: &str, arguments: &[&str]) -> Launch {
        let mut all = vec![self.of_part(Part::Node).join(script).into_os_string()];
        all.extend(arguments.iter().map(OsString::from));
        Launch {
            program: "node".into(),
            arguments: all,
            environment: Vec::new(),
        }
    }

    /// Of a document of the tree or of the cache, below a path.
    fn spec_server(&self, document: &Path, port: u16, base: &str) -> Launch {
        let port = port.to_string();
        self.node("spec_server.mjs", &[&document.to_string_lossy(), &port, base])
    }

    fn ministack(&self, port: u16) -> Launch {
        Launch {
            program: self.python(Part::Ministack),
            arguments: vec!["-m".into(), "ministack".into()],
            environment: vec![
                ("AUTH", "true".to_owned()),
                ("BIND_HOST", "127.0.0.1".to_owned()),
                ("GATEWAY_PORT", port.to_string()),
                // Else it listens for devices on every interface.
                ("IOT_MTLS_ENABLED", "0".to_owned()),
            ],
        }
    }

    pub(crate) fn python(&self, part: Part) -> PathBuf {
        self.of_part(part).join("bin/python")
    }

    pub(crate) fn stripe_document(&self) -> PathBuf {
        self.of_part(Part::StripeDocument).join("stripe.openapi.json")
    }
}

pub(crate) const ALL: &[Counterpart] = &[
    Counterpart {
        name: "stripe-spec",
        variable: "POSX_COUNTERPART_STRIPE_SPEC",
        needs: &[Part::Node, Part::StripeDocument],
        probe: "/__requests",
        launch: |places, port| places.spec_server(&places.stripe_document(), port, ""),
    },
    Counterpart {
        name: "localstripe",
        variable: "POSX_COUNTERPART_LOCALSTRIPE",
        needs: &[Part::Localstripe],
        probe: "/v1/payment_intents",
        launch: |places, port| Launch {
            program: places.python(Part::Localstripe),
            arguments: vec![
                places.source.join("localstripe_server.py").into(),
                port.to_string().into(),
            ],
            environment: Vec::new(),
        },
    },
    Counterpart {
        name: "stripe-mock",
        variable: "POSX_COUNTERPART_STRIPE_MOCK",
        needs: &[Part::Node],
        probe: "/v1/charges",
        launch: |places, port| places.node("stripe_stateful_mock.mjs", &[&port.to_string()]),
    },
    Counterpart {
        name: "fireblocks-spec",
        variable: "POSX_COUNTERPART_FIREBLOCKS_SPEC",
        needs: &[Part::Node],
        probe: "/__requests",
        launch: |places, port| {
            let document = places.source.join("fireblocks.openapi.json");
            Launch {
                environment: vec![("COERCE", "0".to_owned())],
                ..places.spec_server(&document, port, "/v1")
            }
        },
    },
    Counterpart {
        name: "oidc",
        variable: "POSX_COUNTERPART_OIDC",
        needs: &[Part::Node],
        probe: "/.well-known/openid-configuration",
        launch: |places, port| places.node("oidc_provider_server.mjs", &[&port.to_string()]),
    },
    Counterpart {
        name: "cognito",
        variable: "POSX_COUNTERPART_COGNITO",
        needs: &[Part::Ministack],
        probe: "/_ministack/health",
        launch: Places::ministack,
    },
    Counterpart {
        name: "s3",
        variable: "POSX_COUNTERPART_S3",
        needs: &[Part::Ministack],
        probe: "/_ministack/health",
        launch: Places::ministack,
    },
    Counterpart {
        name: "llmock",
        variable: "POSX_COUNTERPART_LLMOCK",
        needs: &[Part::Llmock],
        probe: "/health",
        launch: |places, port| Launch {
            program: places.of_part(Part::Llmock).join("bin/llmock"),
            arguments: vec!["serve".into()],
            environment: vec![
                ("LLMOCK_HOST", "127.0.0.1".to_owned()),
                ("LLMOCK_PORT", port.to_string()),
            ],
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_a_variable_and_a_part_to_run_from() {
        for one in ALL {
            let of = |other: &&Counterpart| other.name == one.name || other.variable == one.variable;
            assert_eq!(ALL.iter().filter(of).count(), 1, "{}", one.name);
            assert!(one.variable.starts_with("POSX_COUNTERPART_"), "{}", one.variable);
            assert!(!one.needs.is_empty(), "{}", one.name);
        }
    }

    #[test]
    fn whatever_a_launch_names_in_the_tree_is_there() {
        let places = Places::of(&crate::workspace_root());
        for one in ALL {
            let launch = (one.launch)(&places, 1);
            let named = launch.arguments.iter().map(PathBuf::from);
            for path in named.filter(|path| path.extension().is_some()) {
                let in_tree = places.source.join(path.file_name().unwrap());
                assert!(
                    in_tree.exists() || path == places.stripe_document(),
                    "{}: {}",
                    one.name,
                    path.display()
                );
            }
        }
    }
}
