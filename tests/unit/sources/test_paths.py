"""How a path names objects: the table of what each wildcard takes, and what no path may be."""

from __future__ import annotations

import warnings

import pytest

from etl_factory.sources._paths import ObjectPath, parse_path, split_object

MATCHES = [
    ("a.csv", ["a.csv"], ["b/a.csv", "a.csv.gz", "axcsv", "A.csv"]),
    ("*.csv", ["a.csv", ".csv", "a b.csv", "zażółć🐘.csv", "a\nb.csv"], ["x/a.csv", "a.csv/", "a.csvx"]),
    ("a?.csv", ["ab.csv", "aż.csv"], ["a.csv", "a/.csv", "abc.csv"]),
    ("x/*/y", ["x/1/y", "x//y"], ["x/y", "x/1/2/y"]),
    ("x/**/y", ["x/y", "x/1/y", "x/1/2/y"], ["xy", "x/1y", "z/x/y"]),
    ("**/y", ["y", "x/y", "x/1/y"], ["xy", "x/yy"]),
    ("x/**", ["x/y", "x/1/2"], ["x", "x/", "x/1/", "y/x/1"]),
    ("x**/y", ["x/y", "xa/b/y"], ["xy", "y"]),
    ("a**b", ["ab", "a/x/b"], ["a/x/c"]),
    ("***", ["a", "a/b"], ["a/"]),
    ("d/[0-3].csv", ["d/0.csv", "d/3.csv"], ["d/4.csv", "d/-.csv"]),
    ("d/[!0-3].csv", ["d/4.csv", "d/!.csv"], ["d/0.csv", "d/.csv"]),
    ("d[!x]e", ["d-e"], ["d/e", "dxe"]),
    ("d[.-0]e", ["d.e", "d0e"], ["d/e"]),
    ("[ab]", ["a", "b"], ["[ab]", "ab"]),
    ("[^a]", ["^", "a"], ["b"]),
    ("[]a]", ["]", "a"], ["[]a]"]),
    ("[!]a]", ["b", "["], ["]", "a"]),
    ("[[]1].csv", ["[1].csv"], ["1.csv"]),
    ("a[*]b[?]", ["a*b?"], ["axb?", "a*bx"]),
    (r"[\w]", ["\\", "w"], ["a"]),
    ("[a&&b]", ["a", "&", "b"], ["c"]),
    ("[a-]", ["a", "-"], ["b"]),
    ("[-~~]", ["-", "~"], ["a"]),
    ("[[:alpha:]]", [":]", "a]"], ["b]", "z"]),
    ("[]", ["[]"], [""]),
    ("a[b", ["a[b"], ["ab"]),
    ("a]b", ["a]b"], ["ab"]),
    ("50%.(a|b)+{1}$^.csv", ["50%.(a|b)+{1}$^.csv"], ["50%.a.csv"]),
    ("a%20b", ["a%20b"], ["a b"]),
    ("/lead//twice", ["/lead//twice"], ["lead/twice"]),
]


@pytest.mark.parametrize(("pattern", "taken", "left"), MATCHES)
def test_what_a_pattern_takes(pattern: str, taken: list[str], left: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = parse_path(f"s3://bucket/{pattern}", "s3")
        found = [name for name in taken + left if path.matches(name)]

    assert found == taken
    assert all(name.startswith(path.prefix) for name in taken)


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [("a/b.csv", "a/b.csv"), ("a/b*.csv", "a/b"), ("a/?", "a/"), ("a/[1]", "a/"), ("**", ""), ("a[b", "a")],
)
def test_the_prefix_lists_no_more_than_needed(pattern: str, prefix: str) -> None:
    assert parse_path(f"gs://bucket/{pattern}", "gs").prefix == prefix


@pytest.mark.parametrize("name", ["a.csv", "[1].csv", "x*?", "[z-a]", "a b/ż%20#?", "/a", "a\nb", "://"])
def test_an_objects_address_leads_back_to_its_name(name: str) -> None:
    assert split_object(ObjectPath("az", "box", "**").uri(name)) == ("box", name)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("prices/*.csv", "path of this kind must start with s3://"),
        ("gs://b/*.csv", "path 'gs://b/*.csv' must start with s3://"),
        ("https://b/x?sig=secret", "path of this kind must start with s3://"),
        ("gs://key:secret@b/x", "path of this kind must start with s3://"),
        ("s3://key:secret@b/x", "path must name a bucket after s3://, and no login: that is `connection`'s"),
        ("s3:///x", "path 's3:///x' must name one bucket, without wildcards, after s3://"),
        ("s3://b*/x", "path 's3://b*/x' must name one bucket, without wildcards, after s3://"),
        ("s3://b", "path 's3://b' must name objects after the bucket, for example s3://b/**/*.csv"),
        ("s3://b/", "path 's3://b/' must name objects after the bucket, for example s3://b/**/*.csv"),
        (
            "s3://b/x/",
            "path 's3://b/x/' names a folder: write s3://b/x/* for the objects in it, or s3://b/x/** for all below it",
        ),
        ("s3://b/[z-a]", "path 's3://b/[z-a]': the range z-a in [z-a] is the wrong way round"),
    ],
)
def test_what_no_path_may_be(path: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_path(path, "s3")

    assert str(raised.value) == message


def test_many_wildcards_are_matched_in_no_time() -> None:
    path = parse_path(f"s3://b/{'**/' * 6}*.csv", "s3")

    assert not path.matches("d/" * 60 + "x.txt")
