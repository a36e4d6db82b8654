//! `fidokey doctor`: what would lock somebody out, let somebody in by less than was meant, or is not as it should be,
//! each with what mends it. Nothing is changed, no key is asked, and no login notices.

mod accounts;
mod devices;
mod files;
mod hosts;
mod module;
mod policy;
mod records;
mod report;
#[cfg(test)]
pub(crate) mod scratch;
mod stacks;
mod states;
mod world;

use crate::arguments::Doctor;
use crate::outcome::{Exit, Outcome};
use crate::terminal;

use report::Report;
use world::World;

/// Looks at all of it.
pub(crate) fn run(asked: &Doctor) -> Outcome {
    let world = World::new(asked.root.as_deref())?;
    let report = examine(&world);
    terminal::print(&if asked.json { report.json() } else { report.text() })?;
    Ok(if report.is_bad() { Exit::No } else { Exit::Done })
}

fn examine(world: &World) -> Report {
    let mut report = Report::default();
    report.looked_at.running = world.running;
    let policy = policy::read(world, &mut report);
    let enrolled = records::examine(world, policy.as_ref(), &mut report);
    report.looked_at.accounts = enrolled.len();
    report.looked_at.keys = enrolled.iter().map(|account| account.keys).sum();
    states::examine(world, &mut report);
    let asking = stacks::examine(world, policy.as_ref(), &mut report);
    accounts::examine(world, &enrolled, &asking, &mut report);
    module::examine(world, &asking, &mut report);
    hosts::examine(world, &asking, &mut report);
    if world.running {
        devices::examine(&mut report);
    }
    report.sort();
    report
}
