//! `wcas view --to URL`: a static site.

use super::app::App;
use super::route::tell_unknown;
use super::view::{Args, LayoutArg, shown, tell_left_out};
use super::{End, print};
use wcas::error::{Error, Result};
use wcas::ops;
use wcas::ops::view::SiteOptions;
use wcas::share::Location;

/// Returns where the site is that is meant, if it is a site.
pub(super) fn location(args: &Args) -> Result<Option<Location>> {
    let said = args.to.as_ref().or(args.remove.as_ref()).and_then(|to| to.to_str());
    let url = said.filter(|said| ["s3://", "gs://", "az://", "file://"].iter().any(|kind| said.starts_with(kind)));
    let refused = |why: &str| Err(Error::Refused(why.to_owned()));
    match url {
        None if args.endpoint.is_some() || args.region.is_some() => {
            refused("--endpoint and --region are of a site's bucket: --to s3://bucket/prefix")
        }
        Some(_) if args.layout != LayoutArg::Simple => refused("a site has the simple layout and no other"),
        Some(_) if args.link.is_some() => refused("a site's files are objects: --link is for trees"),
        url => Ok(url.map(|url| Location {
            url: url.to_owned(),
            endpoint: args.endpoint.clone(),
            region: args.region.clone(),
            log: None,
        })),
    }
}

pub(super) fn write(app: &App, args: Args, to: Location) -> Result<End> {
    let store = app.open()?;
    if let Some(variant) = &args.variant {
        tell_unknown(app, &store, variant)?;
    }
    let options = SiteOptions {
        shown: shown(app, args.collection, args.at, args.variant, args.strategy, &args.requirements)?,
        to,
        replace: args.replace,
    };
    let report = ops::view::view_site(&store, &app.context(), &options)?;
    app.done("view-site", &report, |out| {
        let (files, projects) = (print::count(report.files, "file"), print::count(report.projects, "project"));
        let sources: Vec<String> =
            report.collections.iter().map(|row| format!("{}@{}", row.name, row.revision)).collect();
        let (copied, uploaded, pages) = (report.copied, report.uploaded, print::count(report.pages, "page"));
        writeln!(
            out,
            "{}: {}, {files} of {projects}; {copied} copied, {uploaded} uploaded, {pages} written, {} removed{}",
            report.site,
            sources.join(" + "),
            report.removed,
            app.cost(None)
        )
    })?;
    Ok(tell_left_out(app, &report.left_out, &report.withheld))
}

pub(super) fn remove(app: &App, to: &Location) -> Result<End> {
    let report = ops::view::drop_site(&app.open()?, to)?;
    app.report("view-remove-site", &report, |_| Ok(()))?;
    app.note(&format!("removed the site {}: {}", report.removed, print::count(report.objects, "object")));
    Ok(End::Done)
}
