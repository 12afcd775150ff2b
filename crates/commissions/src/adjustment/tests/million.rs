//! A million orders: any amount, any plan, whatever goes back and comes again, in any order and more than once.

use posx_kernel::{Currency, Money, Rate};
use rust_decimal::Decimal;

use super::share;
use crate::testing::{party, sale, snapshot, usd};
use crate::{
    AdjustmentKind, AgentFacts, Ancestor, Commission, CommissionState, Decision, Limits, Outcome, PlanLevel,
    PlanSnapshot, Returns, calculate,
};

const CASES: u64 = 1_000_000;
const THREADS: u8 = 4;
/// 10^12 minor units.
const TOTAL_MAX: u64 = 1_000_000_000_000;
const PLANS: usize = 512;
const LEVELS_MAX: u64 = 10;

/// SplitMix64: a case is its number, and can be run alone.
struct Dice(u64);

impl Dice {
    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 ..= most.
    const fn up_to(&mut self, most: u64) -> u64 {
        self.roll() % (most + 1)
    }

    /// Small amounts, where rounding shows, as often as large ones; now and then the very edge.
    const fn amount(&mut self) -> i64 {
        let magnitude = 10_u64.pow((self.roll() % 13) as u32);
        let amount = match self.roll() % 16 {
            0 => magnitude,
            _ => self.up_to(magnitude),
        };
        amount.cast_signed()
    }

    fn part_of(&mut self, whole: i64) -> i64 {
        let part = match self.roll() % 4 {
            0 => self.up_to(3),
            _ => self.up_to(whole.cast_unsigned()),
        };
        part.cast_signed().min(whole)
    }
}

/// One to ten levels, whose rates sum to at most one.
fn plan(dice: &mut Dice, currency: Currency) -> PlanSnapshot {
    // Few levels are as good as many, and quicker; ten are among them.
    let most = dice.up_to(LEVELS_MAX - 1);
    let levels = 1 + dice.up_to(most);
    let level = |number| {
        let millionths = dice.up_to(1_000_000 / levels);
        PlanLevel {
            level: u8::try_from(number).expect("a level"),
            rate: Decimal::new(millionths.cast_signed(), 6)
                .to_string()
                .parse::<Rate>()
                .expect("a rate"),
            minimum_sales: Money::zero(currency),
            limits: Limits::default(),
            tiers: Vec::new(),
        }
    };
    snapshot((1..=levels).map(level).collect())
}

/// A refund or a dispute: how much it is, and whether it counts now.
struct Claim {
    amount: i64,
    counts: bool,
    open: bool,
}

/// What the orders' context knows of one sale.
struct Sale {
    total: Money,
    claims: Vec<Claim>,
}

impl Sale {
    fn new(total: Money, dice: &mut Dice) -> Self {
        let claim = |amount| Claim {
            amount,
            counts: false,
            open: false,
        };
        let claims = (0..=dice.up_to(3)).map(|_| claim(dice.part_of(total.minor())));
        Self {
            total,
            claims: claims.collect(),
        }
    }

    fn returns(&self) -> Returns {
        let counted = self.claims.iter().filter(|claim| claim.counts);
        let sum: i64 = counted.map(|claim| claim.amount).sum();
        Returns {
            total: self.total,
            returned: Money::from_minor(sum.min(self.total.minor()), self.total.currency()),
            disputed: self.claims.iter().any(|claim| claim.open),
        }
    }

    /// Asked for, failed, opened, won, lost, lost and won after all: each is a claim that begins or ends to count.
    fn happen(&mut self, dice: &mut Dice) {
        let at = usize::try_from(dice.roll()).unwrap_or(0) % self.claims.len();
        let claim = &mut self.claims[at];
        match dice.roll() % 5 {
            0 | 1 => (claim.counts, claim.open) = (true, false),
            2 => (claim.counts, claim.open) = (false, false),
            3 => claim.open = true,
            // The same once more.
            _ => {}
        }
    }
}

/// The books of one order: what each agent is owed, and what the site spent.
#[derive(Debug)]
struct Books {
    payable: Vec<i64>,
    expense: i64,
}

#[derive(Debug)]
struct Case {
    earned: Vec<Commission>,
    books: Books,
}

impl Case {
    fn new(earned: &[Commission]) -> Self {
        let payable: Vec<_> = earned.iter().map(|share| share.amount.minor()).collect();
        let expense = payable.iter().sum();
        Self {
            earned: earned.to_vec(),
            books: Books { payable, expense },
        }
    }

    /// The job, with the payees from the first to the last or the other way round.
    fn adjust(&mut self, returns: &Returns, backwards: bool) {
        for at in 0..self.earned.len() {
            let at = if backwards { self.earned.len() - 1 - at } else { at };
            let share = &mut self.earned[at];
            let Some(step) = share.follow(returns).expect("its own order") else {
                continue;
            };
            let amount = match step.kind {
                AdjustmentKind::Reversal | AdjustmentKind::Clawback => -step.amount.minor(),
                AdjustmentKind::Restoration => step.amount.minor(),
            };
            assert!(step.amount.is_positive());
            self.books.payable[at] += amount;
            self.books.expense += amount;
        }
    }

    /// In what a share's returns may change.
    fn same_as(&self, others: &[Commission]) -> bool {
        let moved = |share: &Commission| (share.reversed.minor(), share.state, share.back_to);
        self.earned.iter().map(moved).eq(others.iter().map(moved))
    }

    /// Everything goes back, and then nothing of it after all.
    fn ends(mut self, made: &[Commission], returns: Returns) {
        let all = Returns {
            returned: returns.total,
            ..returns
        };
        self.adjust(&all, false);
        self.holds(&all);
        let left = self.books.payable.iter().any(|left| *left != 0);
        assert!(!left, "a full return takes exactly all");
        let none = Returns {
            returned: Money::zero(returns.total.currency()),
            disputed: false,
            ..returns
        };
        self.adjust(&none, true);
        assert!(
            self.same_as(made),
            "nothing went back after all: nothing was taken"
        );
    }

    fn holds(&self, returns: &Returns) {
        let (returned, total) = (
            i128::from(returns.returned.minor()),
            i128::from(returns.total.minor()),
        );
        let mut left = 0;
        for (share, payable) in self.earned.iter().zip(&self.books.payable) {
            let (reversed, amount) = (share.reversed.minor(), share.amount.minor());
            assert!((0..=amount).contains(&reversed), "{reversed} of {amount}");
            assert_eq!(*payable, amount - reversed, "the balance is what is left");
            // Nearest to the exact share, and even where two are as near.
            let off = 2 * (i128::from(reversed) * total - i128::from(amount) * returned);
            assert!(
                off.abs() < total || (off.abs() == total && reversed % 2 == 0),
                "{share:?}"
            );
            let void = share.left().is_zero();
            let expected = match (share.state, void, returns.disputed) {
                (CommissionState::Paid, ..) => CommissionState::Paid,
                (_, true, _) => CommissionState::Void,
                (_, false, true) => CommissionState::Frozen,
                (_, false, false) => CommissionState::Held,
            };
            assert_eq!(share.state, expected);
            left += payable;
        }
        assert_eq!(left, self.books.expense, "the entry balances");
    }
}

/// The agents in one order, or in the other.
fn decide(plan: &PlanSnapshot, total: Money, backwards: bool) -> Vec<Decision> {
    let depth = u128::from(plan.rules.depth());
    let ancestor = |name: u128| Ancestor {
        agent: party(if backwards { depth - name } else { name + 1 }),
        sales: Money::zero(total.currency()),
        facts: AgentFacts::default(),
    };
    let chain: Vec<_> = (0..depth).map(ancestor).collect();
    calculate(plan, &sale(total), &chain)
}

/// Random plans, and one commission to copy: parsing a million rates and dates would take longer than the cases.
struct Stage {
    plans: Vec<[PlanSnapshot; 3]>,
    template: Commission,
}

impl Stage {
    fn earned(&self, plan: &PlanSnapshot, total: Money, dice: &mut Dice) -> Vec<Commission> {
        let state = match dice.roll() % 4 {
            0 => CommissionState::Paid,
            _ => CommissionState::Held,
        };
        let decisions = decide(plan, total, false);
        if dice.roll().is_multiple_of(16) {
            // A place earns what it earns, whoever stands there.
            let others = decide(plan, total, true);
            let outcomes = |decisions: &[Decision]| -> Vec<_> {
                decisions
                    .iter()
                    .map(|decision| decision.outcome.clone())
                    .collect()
            };
            assert_eq!(outcomes(&decisions), outcomes(&others));
        }
        let earned = |decision: Decision| match decision.outcome {
            Outcome::Earned { amount, .. } => Some(Commission {
                agent: decision.agent,
                level: decision.level,
                amount,
                reversed: Money::zero(total.currency()),
                state,
                ..self.template.clone()
            }),
            Outcome::Skipped(_) => None,
        };
        decisions.into_iter().filter_map(earned).collect()
    }

    fn run(&self, number: u64) {
        let dice = &mut Dice(number);
        let at = usize::try_from(dice.roll()).unwrap_or(0);
        let plan = &self.plans[at % PLANS][at / PLANS % 3];
        let total = Money::from_minor(dice.amount(), plan.rules.currency().expect("a currency"));
        let made = self.earned(plan, total, dice);
        if total.is_zero() {
            assert!(made.is_empty(), "nothing is earned of nothing");
            return;
        }
        let earned: i64 = made.iter().map(|share| share.amount.minor()).sum();
        assert!(earned <= total.minor(), "no more is earned than was sold");
        let mut sale = Sale::new(total, dice);
        let mut case = Case::new(&made);
        for _ in 0..=dice.up_to(4) {
            sale.happen(dice);
            // The job may be late, and then sees two changes as one; it may come twice.
            for _ in 0..dice.up_to(2) {
                case.adjust(&sale.returns(), dice.roll().is_multiple_of(2));
            }
        }
        let returns = sale.returns();
        case.adjust(&returns, false);
        case.holds(&returns);
        // Whatever came before, in whatever order: the same as the facts of now by themselves.
        let mut direct = Case::new(&made);
        direct.adjust(&returns, true);
        assert!(case.same_as(&direct.earned), "{case:?} {direct:?}");
        assert_eq!(case.books.payable, direct.books.payable);
        case.ends(&made, returns);
    }
}

#[test]
fn p22_a_million_orders_that_went_back_somehow_come_out_exact() {
    let dice = &mut Dice(u64::MAX);
    let currencies = ["JPY", "USD", "KWD"].map(|code| Currency::from_code(code).expect("a currency"));
    assert_eq!(currencies.map(Currency::exponent), [0, 2, 3]);
    let plans = (0..PLANS).map(|_| currencies.map(|currency| plan(dice, currency)));
    let stage = Stage {
        plans: plans.collect(),
        template: share(usd(1), 1),
    };
    assert!(10_u64.pow(12) == TOTAL_MAX && dice.amount() <= TOTAL_MAX.cast_signed());
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            let stage = &stage;
            scope.spawn(move || {
                for number in (u64::from(first)..CASES).step_by(THREADS.into()) {
                    let outcome = std::panic::catch_unwind(|| stage.run(number));
                    assert!(outcome.is_ok(), "case {number}");
                }
            });
        }
    });
}
