mod leaving;
mod staff;
mod storefront;
mod world;
