//! What calls cost: by day, hour, tier, region and size, with nothing unknown taken for free.

use ferrogw::catalog::price::Prices;
use ferrogw::catalog::{Table, pack};
use ferrogw::wire::usage::Tier;
use ferrogw::wire::{Usage, Usd};

/// 2026-11-21, a Saturday, 00:00 UTC.
const SATURDAY: u64 = 1_795_219_200;
const DAY: u64 = 86_400;

fn table(price: &str) -> Table {
    let price = price.replace('\n', " ");
    let line = format!(r#"{{"provider":"p","id":"m","mode":"chat","price":{price},"trust":"one"}}"#);
    let text = format!("{{\"catalog\":\"2026-11-21\",\"sources\":[]}}\n{line}\n");
    Table::open(pack::compile(&text).unwrap().into()).unwrap()
}

fn check(table: &Table, at: u64, usage: Usage, expected: Option<&str>) {
    check_in(None, table, at, usage, expected);
}

fn check_in(region: Option<&str>, table: &Table, at: u64, usage: Usage, expected: Option<&str>) {
    let cost = Prices::of(table.get("p", "m").unwrap(), region).cost(&usage, at);
    assert_eq!(cost, expected.map(|text| Usd::parse(text, 0).unwrap()), "{usage:?} {at} {region:?}");
}

fn tokens(prompt: u64, completion: u64) -> Usage {
    Usage { prompt, completion, ..Usage::default() }
}

#[test]
fn every_kind_of_token_has_its_price() {
    let table = table(
        r#"[{"in":"0.000001","out":"0.00001","cache_read":"0.0000001","cache_write":"0.00000125","cache_write_1h":"0.000002",
            "reasoning":"0.00002","audio_in":"0.00004","audio_out":"0.00008","per_search":"0.01"}]"#,
    );
    let now = SATURDAY;
    check(&table, now, tokens(1000, 100), Some("0.002"));
    check(&table, now, Usage { cached: 600, ..tokens(1000, 100) }, Some("0.00146"));
    check(&table, now, Usage { cache_write: 400, cache_write_1h: 100, ..tokens(1000, 0) }, Some("0.001175"));
    check(&table, now, Usage { reasoning: 40, ..tokens(0, 100) }, Some("0.0014"));
    check(&table, now, Usage { audio_in: 500, audio_out: 50, ..tokens(1000, 100) }, Some("0.025"));
    check(&table, now, Usage { searches: 2, ..tokens(1000, 100) }, Some("0.022"));
    // what a provider counts twice is not charged twice over
    check(&table, now, Usage { cached: 2000, ..tokens(1000, 0) }, Some("0.0002"));
}

#[test]
fn what_has_no_price_makes_the_whole_unknown() {
    check(&table(r#"[{"in":"0.000001"}]"#), SATURDAY, tokens(10, 0), Some("0.00001"));
    check(&table(r#"[{"in":"0.000001"}]"#), SATURDAY, tokens(10, 1), None);
    check(&table("[]"), SATURDAY, tokens(10, 1), None);
    check(&table(r#"[{"in":"0","out":"0"}]"#), SATURDAY, tokens(10, 1), Some("0"));
    // kinds without a price of their own cost what their like costs
    let plain = table(r#"[{"in":"0.000001","out":"0.000002"}]"#);
    let usage = Usage { cached: 5, cache_write: 1, audio_in: 1, reasoning: 1, image_out: 1, ..tokens(10, 5) };
    check(&plain, SATURDAY, usage, Some("0.00002"));
}

#[test]
fn units_are_charged_where_tokens_are_not() {
    let image = table(r#"[{"per_image_out":"0.04"}]"#);
    check(&image, SATURDAY, Usage { images: 3, ..tokens(50, 0) }, Some("0.12"));
    check(&image, SATURDAY, tokens(50, 0), None);
    // one and the same image is not charged by its tokens and as one
    let either = table(r#"[{"in":"0.000005","image_out":"0.00004","per_image_out":"0.04"}]"#);
    check(&either, SATURDAY, Usage { images: 1, ..tokens(100, 1000) }, Some("0.0405"));
    check(&either, SATURDAY, Usage { images: 1, ..tokens(100, 0) }, Some("0.0405"));
    let free = table(r#"[{"in":"0","out":"0","per_image_out":"0.04"}]"#);
    check(&free, SATURDAY, Usage { images: 1, ..tokens(100, 1000) }, Some("0.04"));
    let heard = table(r#"[{"per_second_in":"0.0001"}]"#);
    check(&heard, SATURDAY, Usage { millis: 90_500, ..Usage::default() }, Some("0.00905"));
    let spoken = table(r#"[{"per_char_in":"0.000015"}]"#);
    check(&spoken, SATURDAY, Usage { characters: 2000, ..Usage::default() }, Some("0.03"));
    let ranked = table(r#"[{"in":"0","out":"0","per_query":"0.002"}]"#);
    check(&ranked, SATURDAY, Usage { queries: 2, ..Usage::default() }, Some("0.004"));
    let searched = table(r#"[{"in":"0.000001","out":"0.000001","per_request":"0.005"}]"#);
    check(&searched, SATURDAY, tokens(500, 500), Some("0.006"));
}

#[test]
fn long_inputs_have_their_tier() {
    let table = table(
        r#"[{"in":"0.000001","out":"0.00001","tiers":[{"above":1000,"in":"0.000002"},{"above":5000,"in":"0.000004","out":"0.00002"}]}]"#,
    );
    let now = SATURDAY;
    check(&table, now, tokens(1000, 100), Some("0.002"));
    check(&table, now, tokens(1001, 100), Some("0.003002"));
    check(&table, now, tokens(6000, 100), Some("0.026"));
}

#[test]
fn prices_change_with_their_day() {
    let table = table(
        r#"[{"in":"0.000003","out":"0"},{"from":"2026-11-22","in":"0.000002","out":"0"},{"from":"2027-01-01","in":"0.000001","out":"0"}]"#,
    );
    check(&table, SATURDAY, tokens(1000, 0), Some("0.003"));
    check(&table, SATURDAY + DAY - 1, tokens(1000, 0), Some("0.003"));
    check(&table, SATURDAY + DAY, tokens(1000, 0), Some("0.002"));
    check(&table, SATURDAY + 60 * DAY, tokens(1000, 0), Some("0.001"));
}

#[test]
fn quiet_hours_are_cheaper_also_over_midnight() {
    // Fridays from 16:30 to Saturdays 00:30
    let table = table(r#"[{"in":"0.000003","out":"0"},{"window":[16,990,30],"in":"0.000001"}]"#);
    let friday = SATURDAY - DAY;
    check(&table, friday + 990 * 60 - 1, tokens(1000, 0), Some("0.003"));
    check(&table, friday + 990 * 60, tokens(1000, 0), Some("0.001"));
    check(&table, SATURDAY + 29 * 60, tokens(1000, 0), Some("0.001"));
    check(&table, SATURDAY + 30 * 60, tokens(1000, 0), Some("0.003"));
    check(&table, SATURDAY + 1000 * 60, tokens(1000, 0), Some("0.003"));
}

#[test]
fn tiers_and_regions_have_their_conditions() {
    let table = table(
        r#"[{"in":"0.000004","out":"0"},{"when":"batch","in":"0.000002"},{"when":"priority","from":"2027-01-01","in":"0.000008"},
            {"when":"region=eu","in":"0.000005"},{"when":"region=eu+batch","in":"0.0000025"},{"when":"disputed","in":"0.000001"}]"#,
    );
    let with = |tier| Usage { tier, ..tokens(1000, 0) };
    check(&table, SATURDAY, with(Tier::Batch), Some("0.002"));
    check(&table, SATURDAY, with(Tier::Flex), Some("0.004"));
    check(&table, SATURDAY, with(Tier::Priority), Some("0.004"));
    check(&table, SATURDAY + 60 * DAY, with(Tier::Priority), Some("0.008"));
    check_in(Some("eu"), &table, SATURDAY, with(Tier::Standard), Some("0.005"));
    check_in(Some("eu"), &table, SATURDAY, with(Tier::Batch), Some("0.0025"));
    check_in(Some("us"), &table, SATURDAY, with(Tier::Standard), Some("0.004"));
}

#[test]
fn sums_do_not_drift_and_do_not_overflow() {
    let table = table(r#"[{"in":"0.000000000001","out":"72000"}]"#);
    check(&table, SATURDAY, tokens(3, 0), Some("0.000000000003"));
    let all = Prices::of(table.get("p", "m").unwrap(), None).cost(&tokens(u64::MAX, u64::MAX), SATURDAY);
    assert_eq!(all, Some(Usd::of_picos(u128::MAX)));
    let (most, many) = (u64::MAX, u32::MAX);
    let all = Usage {
        cached: most,
        cache_write: many,
        audio_in: many,
        reasoning: most,
        audio_out: many,
        ..tokens(most, most)
    };
    assert!(Prices::of(table.get("p", "m").unwrap(), None).cost(&all, u64::MAX).is_some());
}

/// Pinned by hand from the prices that OpenAI and Anthropic publish.
#[test]
fn well_known_models_cost_what_their_makers_say() {
    let check = |provider: &str, model: &str, usage: Usage, expected: &str| {
        let row = ferrogw::catalog::embedded().get(provider, model).unwrap();
        let cost = Prices::of(row, None).cost(&usage, SATURDAY).unwrap();
        assert_eq!(cost.to_string(), expected, "{provider}/{model}");
    };
    let cached = Usage { cached: 200, ..tokens(1000, 300) };
    check("openai", "gpt-4o", cached, "0.00525");
    check("openai", "gpt-4o-mini", cached, "0.000315");
    check("openai", "gpt-4o", Usage { tier: Tier::Batch, ..tokens(1000, 300) }, "0.00275");
    check("anthropic", "claude-sonnet-4-5", Usage { cache_write: 500, ..cached }, "0.007335");
    check("openai", "text-embedding-3-small", tokens(1_000_000, 0), "0.02");
    check("openai", "whisper-1", Usage { millis: 60_000, ..Usage::default() }, "0.006");
}

#[test]
fn a_cost_takes_no_allocation() {
    let row = ferrogw::catalog::embedded().get("openai", "gpt-5-mini").unwrap();
    let plain = table(r#"[{"in":"0.000001","out":"0.00001","cache_read":"0.0000001"}]"#);
    for prices in [Prices::of(row, None), Prices::of(plain.get("p", "m").unwrap(), None)] {
        for tier in [Tier::Standard, Tier::Priority] {
            let usage = Usage { cached: 200, tier, ..tokens(1000, 300) };
            let mut cost = None;
            let info = allocation_counter::measure(|| cost = prices.cost(&usage, SATURDAY));
            assert!(info.count_total == 0 && cost.is_some(), "{} allocations", info.count_total);
        }
    }
}
