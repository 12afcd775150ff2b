mod across_days;
mod histories;
mod runs;
