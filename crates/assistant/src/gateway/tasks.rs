//! What comes to its end though whoever began it has left.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

/// Cheap to clone: all clones know of the same tasks.
#[derive(Debug, Clone)]
pub(super) struct Tasks {
    /// That of the process. Each thread of the server has one of its own, which ends before the process does, with all that was
    /// begun on it.
    runtime: Handle,
    open: Arc<watch::Sender<usize>>,
}

/// Counted as long as it lives: a task that panics ends as well.
struct Open(Arc<watch::Sender<usize>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Tasks {
    pub(super) fn on_this_runtime() -> Self {
        Self {
            runtime: Handle::current(),
            open: Arc::default(),
        }
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.open.send_modify(|open| *open += 1);
        let open = Open(Arc::clone(&self.open));
        self.runtime.spawn(async move {
            task.await;
            drop(open);
        });
    }

    /// None is under way.
    pub(super) async fn ended(&self) {
        // An error would say that the sender is gone.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }
}
