//! What a spectator can go on with.

use chrono::TimeDelta;
use posx_sandbox::{Panel, TokenRequest};

use super::cast::{Sale, Shop};
use super::{Story, StoryError};
use crate::demo::client::{AUDIENCE, Person};
use crate::ui;

const LIFETIME: TimeDelta = TimeDelta::days(30);

pub fn show(story: &Story<'_>, shops: [(&Shop, &Sale); 2]) -> Result<(), StoryError> {
    let set = story.set;
    let issuer = set.world.issuer();
    ui::heading("Go on");
    ui::line(&format!("  API            {}/api/v1", set.base));
    ui::line(&format!("  documentation  {}/docs/", set.base));
    ui::line(&format!("  readiness      {}/ready", set.base));
    ui::line(&format!("  metrics        http://{}/metrics", set.metrics));
    ui::line(&format!("  issuer         {}", issuer.url()));
    ui::line(&format!("  payments       {}", set.world.stripe_url()));
    ui::line(&format!("  custodian      {}", set.world.fireblocks_url()));
    show_panel(set.world.panel());
    ui::line("\n  Tokens, good for 30 days or until the demo ends:");
    for (shop, sale) in shops {
        let people = [
            ("buyer", &sale.carol.person),
            ("agent", &sale.bob.person),
            ("admin", &shop.admin),
        ];
        for (part, person) in people {
            let token = token(story, person)?;
            let variable = format!("{}_{}", shop.script.code, part.to_uppercase());
            // A secret is printed here and with the panel only: it is the sandbox's, and this is what it is for.
            ui::line(&format!(
                "\n  # {}, {part} of {}\n  {variable}={token}",
                person.name, shop.script.code
            ));
        }
    }
    ui::line(&format!(
        "\n  curl -s -H \"Authorization: Bearer $NA_BUYER\" -H 'X-Site-Code: NA' {}/api/v1/orders\n  \
           curl -s -H \"Authorization: Bearer $ASIA_ADMIN\" -H 'X-Site-Code: ASIA' '{}/api/v1/commissions?all=true'\n  \
           # The sandbox's model does what is between the brackets\n  \
           curl -sN -H 'Accept: text/event-stream' -H 'Content-Type: application/json' {}/api/v1/storefront/NA/chat \
           -d '{{\"message\": \"What do you sell? [[call tiers {{}}]]\"}}'\n  \
           posx token --issuer {} --subject somebody-new\n\n  \
           # What moves money or keys asks for a second factor of the last 10 minutes: a fresh token has one\n  \
           posx token --issuer {} --subject {}",
        set.base,
        set.base,
        set.base,
        issuer.url(),
        issuer.url(),
        shops[0].0.admin.subject
    ));
    Ok(())
}

/// Its key is a secret of this run's sandbox alone.
fn show_panel(panel: &Panel) {
    let url = panel.url();
    ui::line(&format!("  fault panel    {url}"));
    ui::line(&format!(
        "\n  # Decline the next card; lose the custodian's next answer; everything back to normal\n  \
           PANEL='Authorization: Bearer {}'\n  \
           curl -s -H \"$PANEL\" {url}/payments/declines -d '{{\"cards\": 1}}'\n  \
           curl -s -H \"$PANEL\" {url}/custodian/faults -d '{{\"call\": \"submit\", \"fault\": \"lose_answer\"}}'\n  \
           curl -s -H \"$PANEL\" {url}/repair -X POST",
        panel.key()
    ));
}

fn token(story: &Story<'_>, person: &Person) -> Result<String, StoryError> {
    let mut request = TokenRequest::new(&person.subject, AUDIENCE);
    request.lifetime = LIFETIME;
    story
        .set
        .world
        .issuer()
        .token(&request)
        .map_err(StoryError::Token)
}
