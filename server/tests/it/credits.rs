//! Settings → Credits as a browser gets it.

use store::auth::{Caller, Principal};
use store::credits;
use store::credits::dto::Use;
use store::db::entity::{Workspace, workspace};
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::both::both;
use crate::support::{Server, info};

const PAGE: &str = "/w/acme/settings/credits";

/// What is left of a page without its tags, so that it reads as on screen.
fn text(html: &str) -> String {
    let mut text = String::new();
    let (mut tag, mut gap) = (false, false);
    for c in html.chars() {
        match c {
            '<' => (tag, gap) = (true, true),
            '>' => tag = false,
            _ if tag => {}
            _ => {
                if gap && !c.is_whitespace() {
                    text.push('|');
                    gap = false;
                }
                text.push(c);
            }
        }
    }
    text
}

async fn shown(server: &Server, who: &str, path: &str) -> String {
    let answer = server.page(who, path).await;
    assert_eq!(answer.status, 200);
    let body = answer.body.split("<main").nth(1).unwrap().to_owned();
    body.split("</main>").next().unwrap().to_owned()
}

async fn mia(server: &Server) -> Principal {
    let cookie = server.cookies["mia"].expose().to_owned();
    let caller = Caller::new(server.ctx.clone(), info(), Some(cookie));
    caller.actor("acme").await.unwrap().into()
}

both! {
    async fn packages_and_costs_stand_there_to_the_letter(server) {
        let page = text(&shown(server, "mia", PAGE).await);
        for row in [
            "|Package|Price|Discount|1,000 |credits|$29|—|3,000 |credits|$79|9%|5,000 |credits|$119|18%|",
            "|Feature|Credits|Quick Answer|1|Suggest Reply|2|Analyze &amp; Suggest|5|Generate Flow|5|General AI|2|\
             Smart Automation|10|Classify Chat|1|Contact Insights|3|",
        ] {
            assert!(page.contains(row), "{row} in {page}");
        }
        assert!(!page.contains("|Buy|") && page.contains("|Ask an owner or admin to buy more credits"));
        assert_eq!(text(&shown(server, "adam", PAGE).await).matches("|Buy|").count(), 4, "three, and their column");
    }

    async fn the_balance_is_what_is_left_after_spending(server) {
        let balance = |page: &str| {
            let at = page.split("data-testid=\"credit-balance\"").nth(1).unwrap();
            let number = at.split('>').nth(1).unwrap().split('<').next().unwrap();
            number.replace(',', "").parse::<i64>().unwrap()
        };
        let before = shown(server, "olivia", PAGE).await;
        assert!(text(&before).contains("lasts until about "));
        let catalog = server.ctx.catalog();
        let wanted = Use::new(catalog, "suggest_reply", Some(7), Some("chat 4711")).unwrap();
        let mut tx = server.ctx.db().begin().await.unwrap();
        credits::spend(&mut tx, &mia(server).await.permit().unwrap(), &wanted, None).await.unwrap();
        tx.commit().await.unwrap();
        let after = shown(server, "olivia", PAGE).await;
        assert_eq!(balance(&after), balance(&before) - 14);
        let line = "|Spent |7 × Suggest Reply|chat 4711 |−14|";
        assert!(text(&after).contains(line), "{}", text(&after));
        let buys = format!("{} Suggest Replies|", domain::grouped(balance(&after) / 2));
        assert!(text(&after).contains(&buys), "{buys} in {}", text(&after));
    }

    async fn buying_leads_to_the_page_on_which_it_is_paid_and_back(server) {
        let read = server.ctx.db().read();
        let acme = Workspace::find().filter(workspace::Column::Slug.eq("acme")).one(read).await.unwrap().unwrap();
        let buy = |credits: &str| vec![
            ("form[workspace]", acme.id.to_string()), ("form[credits]", credits.to_owned()), ("_back", PAGE.to_owned()),
        ];
        let answer = server.submit("adam", "/fn/buy_credits", &buy("1000")).await;
        assert_eq!(answer.status, 303);
        let pay = answer.header("location").to_owned();
        let page = text(&shown(server, "nobody", &pay).await);
        assert!(page.contains("|$29 |for |1,000 credits|"), "{page}");
        let choose = |choice: &str| vec![
            ("form[checkout]", pay.trim_start_matches("/pay/").to_owned()), ("form[choice]", choice.to_owned()),
        ];
        let answer = server.submit("adam", "/fn/choose_payment", &choose("pay")).await;
        assert_eq!(answer.status, 303);
        let back = answer.header("location").to_owned();
        assert!(back.starts_with("/w/acme/settings/credits?payment=pay_"), "{back}");
        let page = text(&shown(server, "adam", &back).await);
        assert!(page.contains("|Your $29 payment for 1,000 credits went through. Thank you.|"), "{page}");
        assert!(page.contains("|Purchased  |+|1,000|"), "{page}");
        let again = server.call("adam", "/fn/choose_payment", &choose("pay")).await;
        assert_eq!(again.status, 409, "once");
        let elsewhere = back.replace("acme", "globex");
        assert!(!shown(server, "greta", &elsewhere).await.contains("went through"), "another's payment");
        // What is not for sale, and by whom nothing can be bought.
        for (who, credits, status) in [("adam", "999", 422), ("adam", "", 422), ("mia", "1000", 403)] {
            assert_eq!(server.call(who, "/fn/buy_credits", &buy(credits)).await.status, status, "{who}: {credits}");
        }
    }

    async fn the_ledger_is_filtered_and_paged_by_its_address(server) {
        let bought = shown(server, "adam", &format!("{PAGE}?kind=purchase")).await;
        let rows = |page: &str| page.matches("data-label=\"Balance\"").count();
        assert_eq!(rows(&bought), 1);
        assert!(text(&bought).contains("|Purchased  |+|1,000|"), "{}", text(&bought));
        let refunds = shown(server, "adam", &format!("{PAGE}?kind=refund")).await;
        assert!(text(&refunds).contains("|No credit activity yet|"));
        let (mut path, mut seen) = (PAGE.to_owned(), 0);
        loop {
            let page = shown(server, "adam", &path).await;
            seen += rows(&page);
            let Some(next) = page.split("href=\"?before=").nth(1) else { break };
            path = format!("{PAGE}?before={}", next.split('"').next().unwrap());
        }
        let csv = server.page("adam", "/w/acme/credits.csv").await;
        assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
        let lines: Vec<&str> = csv.body.lines().collect();
        assert_eq!(lines[0], "Time,Kind,Feature,Quantity,Credits,Balance,Reference,By");
        assert_eq!(lines.len() - 1, seen, "every line is on some page, once");
        let sum: i64 = lines[1..].iter().map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            fields[4].parse::<i64>().unwrap()
        }).sum();
        let newest: Vec<&str> = lines[1].split(',').collect();
        assert_eq!(newest[5].parse::<i64>().unwrap(), sum);
    }
}
