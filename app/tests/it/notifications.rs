use app::catalog::{Category, Channel, EventType};
use app::settings::notifications::model::{Range, Switch};
use app::settings::notifications::store;

use crate::support::{ADAM, MIA, both};

both! {
    async fn the_defaults_are_in_app_for_all_and_email_for_security_and_billing(world) {
        let view = store::view(&world.house, &world.person(MIA).await).await.unwrap();
        let on: Vec<_> = view.rows.iter().map(|row| (row.category, row.in_app, row.email)).collect();
        let expected: Vec<_> = Category::ALL
            .into_iter()
            .map(|category| (category, true, matches!(category, Category::Security | Category::Billing)))
            .collect();
        assert_eq!(on, expected);
        assert!(view.quiet.iter().all(|(_, on)| !on));
    }

    async fn a_switch_keeps_what_it_was_set_to_and_is_the_persons_own(world) {
        let (mia, adam) = (world.person(MIA).await, world.person(ADAM).await);
        let cell = Switch::Cell(Category::Contacts, Channel::Email);
        for on in [true, true, false, true] {
            store::set(&world.house, &mia, cell, on).await.unwrap();
            assert_eq!(store::view(&world.house, &mia).await.unwrap().is_on(cell), on);
        }
        assert!(!store::view(&world.house, &adam).await.unwrap().is_on(cell));
        let quiet = Switch::Quiet(EventType::ContactUpdated);
        store::set(&world.house, &mia, quiet, true).await.unwrap();
        assert!(store::view(&world.house, &mia).await.unwrap().is_on(quiet));
    }

    async fn a_row_and_a_column_are_set_at_once(world) {
        let mia = world.person(MIA).await;
        store::set_range(&world.house, &mia, Range::Column(Channel::InApp), false).await.unwrap();
        store::set_range(&world.house, &mia, Range::Row(Category::Billing), true).await.unwrap();
        let view = store::view(&world.house, &mia).await.unwrap();
        for row in &view.rows {
            assert_eq!(row.in_app, row.category == Category::Billing, "{}", row.category);
        }
    }

    async fn an_unsubscribe_link_is_for_one_person_and_one_switch(world) {
        let mia = world.person(MIA).await;
        let cell = Switch::Cell(Category::Security, Channel::Email);
        let token = store::unsubscribe_token(&world.house, mia.id(), cell);
        assert_eq!(store::read_unsubscribe(&world.house, &token), Some((mia.id(), cell)));
        let other = token.replace("security", "billing");
        assert_eq!(store::read_unsubscribe(&world.house, &other), None);
        assert_eq!(store::read_unsubscribe(&world.house, ""), None);
    }
}
