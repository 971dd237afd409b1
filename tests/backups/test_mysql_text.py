"""What a dump says of itself, by its text alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.mysql_load import Fitted, refusal
from console.backups.mysql_text import Head, read_head, scan, subject_at

MARIADB = b"""/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version\t10.11.19-MariaDB-0+deb12u1

-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000003', MASTER_LOG_POS=1234;
-- SET GLOBAL gtid_slave_pos='0-1-5';
--
-- Table structure for table `t`
--
CREATE TABLE `t` (id int);
--
-- Dumping data for table `t`
--
INSERT INTO `t` VALUES (1);
--
-- Dumping routines for database 'shop'
--
CREATE DEFINER=`root`@`localhost` FUNCTION `tax`(x int) RETURNS int
return x;
-- Dump completed on 2026-11-26  3:04:05
"""
MYSQL = b"""-- MySQL dump 10.13  Distrib 9.7.4, for Linux (x86_64)
--
-- Host: db    Database: shop
-- Server version\t9.7.4
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'aaaa-1:1-5';
-- CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='binlog.000009', SOURCE_LOG_POS=77;
"""


def test_the_head_of_mariadb_is_read() -> None:
    assert read_head(MARIADB) == Head(
        flavor="mariadb", server="MariaDB 10.11.19", version=1011, database="shop",
        position=("binlog.000003", 1234), gtid="0-1-5",
    )  # fmt: skip


def test_the_head_of_mysql_is_read() -> None:
    assert read_head(MYSQL) == Head(
        flavor="mysql", server="MySQL 9.7.4", version=907, database="shop",
        position=("binlog.000009", 77), gtid="aaaa-1:1-5",
    )  # fmt: skip


def test_the_server_counts_and_not_who_dumped_it() -> None:
    crossed = MARIADB.replace(b"-- MariaDB dump", b"-- MySQL dump")
    assert read_head(crossed) == read_head(MARIADB)


def test_a_dump_that_names_its_database_needs_none() -> None:
    found = read_head(MYSQL + b"-- Current Database: `shop`\n")
    assert found is not None
    assert found.database == ""


@pytest.mark.parametrize("text", [b"", b"select 1;", b"PGDMP", b"\x1f\x8b"])
def test_what_is_no_dump_is_none(text: bytes) -> None:
    assert read_head(text) is None


def test_the_whole_is_read_by_its_sections() -> None:
    found = scan(MARIADB.splitlines(keepends=True))
    assert (found.tables, found.data) == (["t"], ["t"])
    assert (found.routines, found.events, found.triggers, found.accounts) == (True, False, 0, False)
    assert found.completed
    assert found.completed_on == "2026-11-26  3:04:05"
    assert found.notes == (
        "no events: made without --events", "no trigger is in it", "no users and grants",
    )  # fmt: skip


@given(st.integers(min_value=1, max_value=len(MARIADB) - 45))
def test_a_dump_that_is_cut_off_anywhere_is_not_complete(length: int) -> None:
    assert not scan(MARIADB[:length].splitlines(keepends=True)).completed


def test_a_row_that_looks_like_the_last_line_is_none() -> None:
    text = MARIADB.replace(
        b"-- Dump completed on 2026-11-26  3:04:05\n", b"INSERT INTO t VALUES ('-- Dump completed');\n"
    )
    assert not scan(text.splitlines(keepends=True)).completed


def test_a_line_is_told_by_what_it_is_about() -> None:
    lines = MARIADB.splitlines(keepends=True)
    assert subject_at(lines, lines.index(b"INSERT INTO `t` VALUES (1);\n") + 1) == "dumping data for table t"
    assert subject_at(lines, lines.index(b"return x;\n") + 1) == "function tax"
    assert subject_at([b"GRANT SELECT ON a.* TO `u`@`%`;\n"], 1) == "grants of u@%"


def test_values_of_rows_are_left_out_of_a_refusal() -> None:
    found = refusal("ERROR 1062 (23000) at line 45: Duplicate entry 'secret' for key 'PRIMARY'")
    assert found is not None
    assert (found.code, found.line) == (1062, 45)
    assert "secret" not in found.words
    told = refusal("ERROR 1305 (42000) at line 9: FUNCTION shop.tax does not exist")
    assert told is not None
    assert told.words == "FUNCTION shop.tax does not exist"


FULL = b"""CREATE USER `a`@`%`;
/*! FLUSH PRIVILEGES */;
CREATE USER IF NOT EXISTS `b`@`%`;
INSERT INTO t VALUES ('CREATE USER `x`; /*! FLUSH PRIVILEGES */;');
"""


@given(st.lists(st.integers(min_value=1, max_value=40), max_size=30))
def test_accounts_fit_however_a_dump_is_cut_into_blocks(sizes: list[int]) -> None:
    fitted, at, out = Fitted("mariadb"), 0, b""
    for size in sizes:
        out += fitted.block(FULL[at : at + size])
        at += size
    out += fitted.block(FULL[at:]) + fitted.end()
    lines = FULL.splitlines(keepends=True)
    assert out == b"".join([b"CREATE OR REPLACE USER `a`@`%`;\n", b"\n", *lines[2:]])
