//! Requirements files, read from memory.

use super::*;
use crate::digest::Sha256;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Reads `top.txt` among files of these names.
fn read_files(files: &[(&str, &str)]) -> Requirements {
    let files: BTreeMap<&Path, &str> = files.iter().map(|(name, text)| (Path::new(*name), *text)).collect();
    let mut open = |path: &Path| {
        files.get(path).map(|text| text.as_bytes().to_vec()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    read(Path::new("top.txt"), &mut open).expect("the first file is there")
}

fn read_text(text: &str) -> Requirements {
    read_files(&[("top.txt", text)])
}

/// Reads one requirement, which is to be good and without a note.
fn one(text: &str) -> Requirement {
    let mut found = read_text(text);
    assert!(found.refused.is_empty() && found.notes.is_empty(), "{text}: {found:?}");
    assert_eq!(found.requirements.len(), 1, "{text}");
    found.requirements.remove(0)
}

fn texts(requirements: &[Requirement]) -> Vec<&str> {
    requirements.iter().map(|requirement| requirement.text.as_str()).collect()
}

fn places(said: &[(LineOfFile, String)]) -> Vec<String> {
    said.iter().map(|(place, text)| format!("{place}: {text}")).collect()
}

/// Asserts that each line was said, in this order, and has the word.
fn assert_said(said: &[(LineOfFile, String)], expected: &[(&str, &str)]) {
    let said = places(said);
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, (place, word)) in said.iter().zip(expected) {
        assert!(said.starts_with(&format!("{place}: ")) && said.contains(word), "{said}, not {place}: {word}");
    }
}

#[test]
fn r1_names_in_a_file_are_normalised() {
    for text in [
        "Flask-RESTful",
        "flask_restful==1.0",
        "FLASK.RestFul[async] ; os_name == 'nt'",
        "flask-_.restful @ https://h/x",
    ] {
        assert_eq!(one(text).name.as_str(), "flask-restful", "{text}");
    }
}

#[test]
fn r2_an_empty_file_is_an_empty_set() {
    for text in ["", "\n\n", "# nothing yet\n", "\u{feff}", " \\\n"] {
        assert_eq!(read_text(text), Requirements::default(), "{text:?}");
    }
}

#[test]
fn a_named_requirement_is_read_in_every_form_that_pip_takes() {
    for (text, expected) in [
        ("torch", "torch"),
        ("torch == 2.5.1", "torch==2.5.1"),
        ("torch>=2,<3,", "torch>=2,<3"),
        ("torch (>=2,<3)", "torch>=2,<3"),
        ("torch()", "torch"),
        ("Torch [CUDA, cuda ,Big_One]>=2", "torch[cuda,big-one]>=2"),
        ("torch[]", "torch"),
        ("torch==2.5.*;os_name=='nt'", "torch==2.5.* ; os_name == \"nt\""),
        ("torch ;", "torch"),
        ("torch==v2.5-1", "torch==2.5.post1"),
        ("torch===2.5.1", "torch===2.5.1"),
        ("torch@https://h/t.whl", "torch @ https://h/t.whl"),
        ("torch[a] @ https://h/t.whl ; os_name == 'nt'", "torch[a] @ https://h/t.whl ; os_name == \"nt\""),
        ("torch @ file:///t-1-py3-none-any.whl", "torch @ file:///t-1-py3-none-any.whl"),
    ] {
        let requirement = one(text);
        assert_eq!(requirement.text, expected, "{text}");
        // A URL is kept as it was written; all else prints as it reads back.
        assert_eq!(one(&requirement.text).text, expected);
    }
}

#[test]
fn a_url_or_path_names_its_project_by_the_filename_or_the_fragment() {
    for (text, expected, version) in [
        ("https://h/My_Pkg-1.0-py3-none-any.whl", "my-pkg", Some("1.0")),
        ("https://h/pkg-1.0%2Bcu121-2-cp312-cp312-linux_x86_64.whl?x=1", "pkg", Some("1.0+cu121")),
        ("https://h/big-pkg-1.0.tar.gz", "big-pkg", Some("1.0")),
        ("https://h/archive/main.zip#egg=pkg&subdirectory=x", "pkg", None),
        ("./dist/pkg-1.0-py3-none-any.whl", "pkg", Some("1.0")),
        ("pkg-1.0.zip", "pkg", Some("1.0")),
        ("/abs/pkg-1.0-py3-none-any.whl[a,b] ; os_name == 'nt'", "pkg", Some("1.0")),
        ("FILE:///abs/pkg-1.0.tar.gz", "pkg", Some("1.0")),
    ] {
        let requirement = one(text);
        assert_eq!(requirement.name.as_str(), expected, "{text}");
        assert_eq!(requirement.pinned().map(ToString::to_string).as_deref(), version, "{text}");
        assert!(requirement.url.as_ref().is_some_and(|url| text.starts_with(url)), "{text}: {:?}", requirement.url);
    }
    assert_eq!(one("./pkg-1.0-py3-none-any.whl[a,B]").extras, ["a", "b"]);
    let found = read_text("git+https://h/pkg.git@main#egg=pkg\npkg @ git+ssh://h/pkg");
    assert_eq!(found.requirements.len(), 2);
    assert_said(&found.notes, &[("top.txt:1", "checkout"), ("top.txt:2", "checkout")]);
}

#[test]
fn what_is_not_understood_is_refused_at_its_line_and_its_neighbours_stay() {
    let bad = [
        ("torch=2", "==2.5.1"),
        ("torch>=1 <2", "\">=1 <2\""),
        ("torch>=1,,<2", "\"\""),
        ("torch>=2.5.*", "2.5.*"),
        ("torch==1 ; frob == '1'", "a variable such as"),
        ("torch[a", "extras"),
        ("torch[a b]", "extras"),
        ("torch @", "not a URL"),
        ("torch@-x", "not a URL"),
        ("torch@#x", "not a URL"),
        ("torch @ https://h/a b", "not a URL"),
        ("https://h/a.whl ;os_name == 'nt'", "not a URL"),
        ("https://h/simple/torch/", "NAME @ URL"),
        ("./project", "NAME @ URL"),
        ("./project#egg=torch", "NAME @ URL"),
        ("https://h/main.zip#egg=torch==1", "NAME @ URL"),
        ("..", "NAME @ URL"),
        ("-torch", "not an option"),
        ("==2", "not a requirement"),
        ("torch --frob", "--frob"),
        ("-e ./project", "a folder to edit"),
        ("--editable=git+https://h/x#egg=x", "a folder to edit"),
        ("--pre torch >=2", "\"torch >=2\" follows"),
        ("--hash=sha256:00", "behind a requirement"),
        ("torch --hash=sha256:00", "64 hexadecimal"),
        ("torch --hash=00", "ALGORITHM:DIGITS"),
        ("torch\0", "\"\\0\""),
        ("${TORCH}", "not a requirement"),
    ];
    let text: String = bad.iter().map(|(line, _)| format!("{line}\ngood==1\n")).collect();
    let found = read_text(&text);
    let refused: Vec<(String, &str)> =
        bad.iter().enumerate().map(|(n, (_, word))| (format!("top.txt:{}", 2 * n + 1), *word)).collect();
    let refused: Vec<(&str, &str)> = refused.iter().map(|(place, word)| (place.as_str(), *word)).collect();
    assert_said(&found.refused, &refused);
    assert_eq!(found.requirements.len(), bad.len());
}

#[test]
fn includes_are_found_beside_the_file_that_names_them() {
    let found = read_files(&[
        ("top.txt", "a\n-r sub/b.txt\n--constraint=c.txt\n-rsub/../d.txt\n-r=./d.txt"),
        ("sub/b.txt", "b\n-r e.txt\n-c ../c2.txt"),
        ("sub/e.txt", "e"),
        ("c.txt", "c<2\n-r f.txt"),
        ("c2.txt", "c2[x]"),
        ("d.txt", "d"),
        ("f.txt", "f"),
    ]);
    assert_eq!(texts(&found.requirements), ["a", "b", "e", "f", "d"], "a file read before says nothing new");
    assert_eq!(texts(&found.constraints), ["c2[x]", "c<2"]);
    assert_eq!(found.requirements[2].place.to_string(), "sub/e.txt:1");
    assert_said(&found.notes, &[("c2.txt:1", "no extras")]);
    assert!(found.refused.is_empty(), "{found:?}");
}

#[test]
fn an_include_that_cannot_be_read_is_refused_where_it_is_named() {
    let found = read_files(&[
        ("top.txt", "-r top.txt\n-r a.txt\n-r gone.txt\n-r https://h/r.txt\n-r c.txt -r d.txt\nok"),
        ("a.txt", "-r b.txt"),
        ("b.txt", "b\n-c x/../a.txt"),
        ("c.txt", "c"),
        ("d.txt", "d"),
    ]);
    assert_eq!(texts(&found.requirements), ["b", "c", "ok"]);
    assert_said(
        &found.refused,
        &[
            ("top.txt:1", "includes itself: take this line out"),
            ("b.txt:2", "by way of others"),
            ("top.txt:3", "cannot read the requirements file gone.txt: "),
            ("top.txt:4", "fetch it"),
            ("top.txt:5", "a line of its own"),
        ],
    );
    let mut chain = |path: &Path| {
        let number: usize = path.to_str().unwrap().parse().unwrap();
        Ok(format!("-r {}\np{number}", number + 1).into_bytes())
    };
    let found = read(Path::new("0"), &mut chain).unwrap();
    assert_eq!((found.requirements.len(), found.refused.len()), (50, 1), "a chain without an end has one");
}

#[test]
fn a_first_file_that_cannot_be_read_is_an_error() {
    let error = read(Path::new("gone.txt"), &mut |_| Err(io::ErrorKind::NotFound.into())).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the requirements file gone.txt");
    let error = read(Path::new("wide.txt"), &mut |_| Ok(b"\xff\xfet\0".to_vec())).unwrap_err();
    assert_eq!(error.to_string(), "the requirements file wide.txt is not UTF-8");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("UTF-16"));
}

#[test]
fn digests_are_kept_and_those_of_no_use_are_noted() {
    let (a, b) = ("ab".repeat(32), "CD".repeat(32));
    let text = format!("torch==2 \\\n  --hash=sha256:{a} \\\n  --hash sha256:{b}   # two builds\n");
    let sha256: Vec<Sha256> = vec![a.parse().unwrap(), b.parse().unwrap()];
    assert_eq!(one(&text).sha256, sha256);
    let requirement = one(&format!("https://h/t-1.tar.gz#egg=t&sha256={a} --hash=sha256:{b}"));
    assert_eq!(requirement.sha256, [sha256[1], sha256[0]]);

    let found = read_text("t --hash=sha512:00 --hash=md5:11\nu @ https://h/u.whl#md5=22");
    assert_said(&found.notes, &[("top.txt:1", "sha512"), ("top.txt:1", "md5"), ("top.txt:2", "md5")]);
    assert_eq!(found.requirements[0].other_digests, ["sha512:00", "md5:11"]);
    assert!(found.requirements.iter().all(|requirement| requirement.sha256.is_empty()));
}

#[test]
fn options_for_an_installer_are_noted_and_not_obeyed() {
    let found = read_text(
        "-i https://user:secret@h/simple\n--pre --only-binary=:all:\nt==1 --config-settings=a=b --pre extra\nu @ https://${TOKEN}@h/u.whl",
    );
    assert_eq!(texts(&found.requirements), ["t==1", "u @ https://${TOKEN}@h/u.whl"]);
    assert_said(
        &found.notes,
        &[
            ("top.txt:1", "--index-url"),
            ("top.txt:2", "--pre"),
            ("top.txt:2", "--only-binary"),
            ("top.txt:3", "\"extra\""),
            ("top.txt:3", "--config-settings"),
            ("top.txt:3", "--pre"),
            ("top.txt:4", "${TOKEN}"),
        ],
    );
    assert!(!places(&found.notes).concat().contains("secret"));
}

#[test]
fn a_project_listed_for_two_environments_is_two_requirements() {
    let found =
        read_text("t==1 ; python_version < '3.10'\nt==2 ; python_version >= '3.10'\nt ; platform_release > '5'");
    let applying = |environment: Option<&Environment>| -> Vec<String> {
        found.requirements.iter().filter(|it| it.applies(environment)).map(|it| it.spec().to_string()).collect()
    };
    assert_eq!(applying(Some(&Environment::for_target(Some((3, 9)), None))), ["t==1", "t"]);
    assert_eq!(applying(Some(&Environment::for_target(Some((3, 12)), None))), ["t==2", "t"]);
    assert_eq!(applying(None), ["t==1", "t==2", "t"]);
}

#[test]
fn only_one_version_is_a_pin() {
    for (text, pin) in [
        ("t==1.0", Some("1.0")),
        ("t===1.0", Some("1.0")),
        ("t==1.0,>=0.9", Some("1.0")),
        ("t>=0.9,==1.0+cpu", Some("1.0+cpu")),
        ("t==1.*", None),
        ("t>=1", None),
        ("t", None),
        ("t==1,==2", None),
    ] {
        assert_eq!(one(text).pinned().map(ToString::to_string).as_deref(), pin, "{text}");
    }
}

/// Pieces from which lines that are nearly good are made.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "a",
        "b-c",
        "==1",
        ">=",
        "1.*",
        "[x]",
        "[",
        " @ ",
        "https://h/",
        "-1.0.zip",
        ".whl",
        " ; ",
        "os_name",
        "python_version",
        "'3'",
        "\"",
        " and ",
        "(",
        ")",
        " --hash=",
        "sha256:",
        "-r ",
        "-c top.txt",
        "-e",
        "\\\n",
        "\n",
        "\r",
        " #",
        "#egg=",
        ",",
        "${A}",
        "not in ",
        "../",
        "\u{85}",
        "é",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic_and_what_is_good_reads_back(pieces in prop::collection::vec(piece(), 0..20)) {
        let found = read_text(&pieces.concat());
        for requirement in found.requirements.iter().filter(|requirement| requirement.url.is_none()) {
            prop_assert_eq!(&one(&requirement.text).text, &requirement.text);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(Path::new("top.txt"), &mut |_| Ok(bytes.clone()));
    }

    #[test]
    fn good_lines_survive_bad_neighbours(lines in prop::collection::vec(piece(), 1..20)) {
        // A backslash before the end of a line would join it to the good one.
        let bad: Vec<String> = lines.iter().map(|line| line.replace(['\\', '\n'], "")).collect();
        let text: String = bad.iter().enumerate().map(|(n, line)| format!("{line}\ngood{n}==1\n")).collect();
        let found = read_text(&text);
        let good = found.requirements.iter().filter(|requirement| requirement.text.starts_with("good")).count();
        prop_assert_eq!(good, bad.len());
    }

    #[test]
    fn any_marker_is_read_without_a_panic(pieces in prop::collection::vec(piece(), 0..20)) {
        if let Ok(marker) = pieces.concat().parse::<Marker>() {
            prop_assert_eq!(&marker.to_string().parse::<Marker>().unwrap(), &marker);
            marker.evaluate(&Environment::for_target(Some((3, 12)), Some("win_amd64")));
        }
    }
}
