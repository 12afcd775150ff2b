//! For tests: storage in memory, and the suite that every store must pass.

mod machine_contract;
mod machine_store;
mod people_contract;
mod people_store;

pub use machine_contract::{MachineStores, MachinesGiven, machine_contract};
pub use machine_store::{MachineState, MachineStore};
pub use people_contract::{PeopleGiven, PeopleStores, people_contract};
pub use people_store::{PeopleState, PeopleStore};
