//! A provider of language models, as OpenAI serves them: streams with their usage last, tool calls, refusals. It has no model: what
//! it says follows from what it is asked, the same each time, and scripts in the last message say more.
//!
//! | script | |
//! |---|---|
//! | `[[call find_orders {"lifecycle":"placed"}]]` | asks for a tool that was offered |
//! | `[[say 200]]` | so many words |
//! | `[[wait 500]]` | milliseconds before the first word |
//!
//! A lost answer breaks off after its half. What is asked for by a schema, with where it stands, is read off the last message as off a form:
//! lines of `customer name: …`, and `- description: …; quantity: …` for each of several.

mod answer;
mod form;
mod http;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::line::Line;

pub(crate) use http::router;

/// The calls that can be counted and made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelsCall {
    Completion,
}

/// The provider, seen from inside. A clone is a handle on the same.
#[derive(Clone)]
pub struct LanguageModels {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    line: Line<ModelsCall>,
}

impl fmt::Debug for LanguageModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanguageModels").finish_non_exhaustive()
    }
}

impl LanguageModels {
    pub(crate) fn new(env: Env) -> Self {
        let line = Line::new();
        Self {
            inner: Arc::new(Inner { env, line }),
        }
    }

    pub fn line(&self) -> &Line<ModelsCall> {
        &self.inner.line
    }
}
