mod histories;
mod runs;
