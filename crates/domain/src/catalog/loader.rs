//! Reading the catalogue: a TOML file, built in unless the operator names another. What is wrong is told with the field
//! that it stands in.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

use super::pricing::{Catalog, CdrMode, CreditPackage, Feature, Plan, Seller};
use crate::Money;

/// What is sold where the operator says nothing else.
const BUILT_IN: &str = include_str!("catalog.toml");
/// Dearest price, in cents: what lies above is a slip of the pen.
const MAX_PRICE_CENTS: i64 = 100_000_000;
/// Most credits that one plan or package has, and most that one use of a feature costs.
const MAX_CREDITS: u32 = 100_000_000;
const MAX_DAYS: u32 = 365;
/// Longest id and longest name, in characters.
const MAX_LEN: usize = 60;

/// What is wrong with a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogError {
    field: String,
    problem: String,
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.field, self.problem)
        }
    }
}

impl std::error::Error for CatalogError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    currency: String,
    trial_days: u32,
    trial_plan: String,
    invitation_days: u32,
    #[serde(rename = "plan")]
    plans: Vec<Plan>,
    cdr_mode: CdrMode,
    #[serde(rename = "credit_package")]
    packages: Vec<CreditPackage>,
    #[serde(rename = "feature")]
    features: Vec<Feature>,
    seller: Option<Seller>,
}

impl Catalog {
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("a test reads the built-in catalogue")
    }

    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let file: File = toml::from_str(text).map_err(|error| CatalogError {
            field: error
                .span()
                .map(|span| field_at(text, span.start))
                .unwrap_or_default(),
            problem: error.message().to_owned(),
        })?;
        check(&file)?;
        Ok(Self {
            trial_days: file.trial_days,
            trial_plan: file.trial_plan,
            invitation_days: file.invitation_days,
            plans: file.plans,
            cdr_mode: file.cdr_mode,
            packages: file.packages,
            features: file.features,
            seller: file.seller,
        })
    }
}

/// Which field stands at this place of the file: `price` of the second `[[plan]]` is `plan 2, price`.
fn field_at(text: &str, offset: usize) -> String {
    let (mut table, mut key, mut seen) = (String::new(), String::new(), Vec::new());
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if start > offset {
            break;
        }
        start += line.len();
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default().trim_matches('[');
            seen.push(name.to_owned());
            let count = seen.iter().filter(|other| *other == name).count();
            table = if line.starts_with("[[") {
                format!("{name} {count}")
            } else {
                name.to_owned()
            };
            key.clear();
        } else if let Some((name, _)) = line.split_once('=')
            && !line.starts_with('#')
        {
            name.trim().clone_into(&mut key);
        }
    }
    let parts = [table, key].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

fn wrong(field: impl Into<String>, problem: impl Into<String>) -> CatalogError {
    CatalogError {
        field: field.into(),
        problem: problem.into(),
    }
}

fn check(file: &File) -> Result<(), CatalogError> {
    // Amounts are written with a dollar sign everywhere.
    if file.currency != "USD" {
        return Err(wrong("currency", "must be USD"));
    }
    number("trial_days", file.trial_days, MAX_DAYS)?;
    number("invitation_days", file.invitation_days, MAX_DAYS)?;
    some("plan", &file.plans)?;
    some("credit_package", &file.packages)?;
    some("feature", &file.features)?;
    for (index, plan) in file.plans.iter().enumerate() {
        let at = |field: &str| format!("plan {}, {field}", index + 1);
        id(&at("id"), &plan.id)?;
        name(&at("name"), &plan.name)?;
        price(&at("price"), plan.price)?;
        number(&at("seats"), plan.seats, MAX_CREDITS)?;
        number(&at("credits"), plan.credits, MAX_CREDITS)?;
    }
    different("plan", file.plans.iter().map(|plan| &plan.id))?;
    name("cdr_mode, name", &file.cdr_mode.name)?;
    price("cdr_mode, price", file.cdr_mode.price)?;
    for (index, package) in file.packages.iter().enumerate() {
        let at = |field: &str| format!("credit_package {}, {field}", index + 1);
        number(&at("credits"), package.credits, MAX_CREDITS)?;
        price(&at("price"), package.price)?;
    }
    for (index, feature) in file.features.iter().enumerate() {
        let at = |field: &str| format!("feature {}, {field}", index + 1);
        id(&at("id"), &feature.id)?;
        name(&at("name"), &feature.name)?;
        number(&at("credits"), feature.credits, MAX_CREDITS)?;
    }
    if let Some(seller) = &file.seller {
        name("seller, name", &seller.name)?;
    }
    different("feature", file.features.iter().map(|feature| &feature.id))?;
    if !file.plans.iter().any(|plan| plan.id == file.trial_plan) {
        let problem = format!("there is no plan with the id “{}”", file.trial_plan);
        return Err(wrong("trial_plan", problem));
    }
    Ok(())
}

fn some<T>(field: &str, list: &[T]) -> Result<(), CatalogError> {
    if list.is_empty() {
        return Err(wrong(field, "there must be at least one"));
    }
    Ok(())
}

fn number(field: &str, value: u32, most: u32) -> Result<(), CatalogError> {
    if !(1..=most).contains(&value) {
        return Err(wrong(field, format!("must be from 1 to {most}")));
    }
    Ok(())
}

fn price(field: &str, price: Money) -> Result<(), CatalogError> {
    if !(1..=MAX_PRICE_CENTS).contains(&price.cents()) {
        return Err(wrong(
            field,
            format!("must be from 1 to {MAX_PRICE_CENTS} cents"),
        ));
    }
    Ok(())
}

fn id(field: &str, id: &str) -> Result<(), CatalogError> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !(1..=MAX_LEN).contains(&id.len()) || !id.bytes().all(good) {
        return Err(wrong(
            field,
            "must contain only lowercase letters, digits and _",
        ));
    }
    Ok(())
}

fn name(field: &str, name: &str) -> Result<(), CatalogError> {
    if name.trim() != name || !(1..=MAX_LEN).contains(&name.chars().count()) {
        let problem = format!("must have 1 to {MAX_LEN} characters, without spaces layout them");
        return Err(wrong(field, problem));
    }
    Ok(())
}

fn different<'a>(table: &str, ids: impl Iterator<Item = &'a String>) -> Result<(), CatalogError> {
    let mut seen = BTreeSet::new();
    for (index, id) in ids.enumerate() {
        if !seen.insert(id) {
            let problem = format!("“{id}” is used twice");
            return Err(wrong(format!("{table} {}, id", index + 1), problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_the_customers() {
        let catalog = Catalog::built_in();
        let packages: Vec<_> = catalog
            .packages()
            .map(|(package, discount)| (package.credits, package.price.to_string(), discount))
            .collect();
        assert_eq!(
            packages,
            [
                (1000, "$29".to_owned(), None),
                (3000, "$79".to_owned(), Some(9)),
                (5000, "$119".to_owned(), Some(18)),
            ]
        );
        let costs: Vec<_> = catalog
            .features
            .iter()
            .map(|feature| (feature.name.as_str(), feature.credits))
            .collect();
        assert_eq!(
            costs,
            [
                ("Quick Answer", 1),
                ("Suggest Reply", 2),
                ("Analyze & Suggest", 5),
                ("Generate Flow", 5),
                ("General AI", 2),
                ("Smart Automation", 10),
                ("Classify Chat", 1),
                ("Contact Insights", 3),
            ]
        );
        assert_eq!(catalog.plan("scale").unwrap().credits, 2000);
        assert_eq!((catalog.trial_days, catalog.invitation_days), (7, 7));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
        let told = |from: &str, to: &str| {
            assert!(BUILT_IN.contains(from), "{from}");
            let text = BUILT_IN.replacen(from, to, 1);
            Catalog::parse(&text).unwrap_err().to_string()
        };
        for (from, to, expected) in [
            (
                "currency = \"USD\"",
                "currency = \"EUR\"",
                "currency: must be USD",
            ),
            (
                "trial_days = 7",
                "trial_days = 0",
                "trial_days: must be from 1 to 365",
            ),
            (
                "trial_plan = \"scale\"",
                "trial_plan = \"giant\"",
                "trial_plan: there is no plan with the id “giant”",
            ),
            (
                "price = 9900",
                "price = \"99\"",
                "plan 2, price: invalid type: string \"99\", expected i64",
            ),
            (
                "price = 9900",
                "price = 0",
                "plan 2, price: must be from 1 to 100000000 cents",
            ),
            (
                "price = 29900",
                "price = -1",
                "cdr_mode, price: must be from 1 to 100000000 cents",
            ),
            (
                "credits = 3000",
                "credits = 0",
                "credit_package 2, credits: must be from 1 to 100000000",
            ),
            (
                "id = \"max\"",
                "id = \"light\"",
                "plan 3, id: “light” is used twice",
            ),
            (
                "id = \"quick_answer\"",
                "id = \"Quick Answer\"",
                "feature 1, id: must contain only lowercase letters, digits and _",
            ),
            (
                "seats = 10",
                "seat = 10",
                "plan 2, seat: unknown field `seat`, expected one of `id`, `name`, `price`, `seats`, `credits`, `linkedin_accounts`, `cdr_mode`",
            ),
        ] {
            assert_eq!(told(from, to), expected);
        }
        let missing = told("seats = 10\n", "");
        assert!(missing.starts_with("plan 2"), "{missing}");
        assert!(missing.contains("missing field `seats`"), "{missing}");
        assert!(
            Catalog::parse("")
                .unwrap_err()
                .to_string()
                .contains("currency")
        );
        assert!(Catalog::parse("trial_days = ").is_err());
    }
}
