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
pub(crate) mod stacks;
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

#[cfg(test)]
mod tests {
    use fidokey_core::findings::Kind;

    // I8: what the doctor can find is what a test has it find.
    #[test]
    fn given_the_catalogue_then_each_finding_has_a_test() {
        let tests: String = [
            include_str!("devices.rs"),
            include_str!("hosts.rs"),
            include_str!("module.rs"),
            include_str!("policy.rs"),
            include_str!("records/tests.rs"),
            include_str!("stacks/tests.rs"),
            include_str!("states.rs"),
        ]
        .map(|file| file.split_once("#[cfg(test)]").map_or(file, |(_, tests)| tests))
        .concat();
        for kind in Kind::ALL {
            let word = kind.row().word;
            let named = [format!("\"{word}\""), format!("\"{word} ")];
            assert!(named.iter().any(|word| tests.contains(word)), "{word}");
        }
    }
}
