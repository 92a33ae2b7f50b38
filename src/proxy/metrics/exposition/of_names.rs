//! The metrics of the names of backends.

use super::families::{Family, Names, counter, gauge, seconds};
use super::of_proxy::unix;

const NAME: Names = &["name"];

pub(super) static FAMILIES: &[Family] = &[
    counter(
        "tidegate_name_lookups",
        &["name", "outcome"],
        "Look-ups of the name of a backend while the proxy serves: found; absent, there is no such \
         name, or it has no address; failed, no name server gave an answer that can be used.",
        |all, out| {
            all.names.iter().try_for_each(|it| {
                out.count(&[&it.name, "found"], it.found)?;
                out.count(&[&it.name, "absent"], it.absent)?;
                out.count(&[&it.name, "failed"], it.failed)
            })
        },
    ),
    gauge("tidegate_name_addresses", NAME, "Addresses of the name that are in use.", |all, out| {
        all.names.iter().try_for_each(|it| out.level(&[&it.name], it.addresses as u64))
    }),
    gauge(
        "tidegate_name_left_out_addresses",
        NAME,
        "Addresses of the name that are not used, because there are more than 512.",
        |all, out| all.names.iter().try_for_each(|it| out.level(&[&it.name], it.left_out as u64)),
    ),
    seconds(gauge(
        "tidegate_name_last_success_timestamp_seconds",
        NAME,
        "When addresses of the name were found last, since the Unix epoch.",
        |all, out| {
            let mut found = all.names.iter().filter_map(|it| Some((&it.name, it.found_at?)));
            found.try_for_each(|(name, at)| out.gauge(&[name], unix(at)))
        },
    )),
];
