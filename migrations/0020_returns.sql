-- What goes back of a sale: refunds by staff, disputes.
alter table orders
  add column returned bigint not null default 0 check (returned >= 0);
