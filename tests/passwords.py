"""Passwords that go wrong in many a program."""

from __future__ import annotations

from hypothesis import strategies as st

NASTY = {
    "plain": "correct horse",
    "quotes": 'o\'neill \\ "x" $1 %s {}',
    "ligature": "ﬁﬂ-office",
    "no-break space": "no\u00a0break\u2003space",
    "soft hyphen": "soft\u00adhyphen",
    "decomposed": "Zu\u0308rich e\u0301te\u0301",
    "emoji": "pa🔑ss 😀",
    "control": "bell\u0007é\u0085",
    "bad directions": "abcא1",
    "good directions": "אבג",
    "only soft hyphens": "\u00ad\u00ad",
    "long": "ä" * 100,
}
ANY = st.text(
    st.one_of(
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
        st.sampled_from("ﬁ\u00a0\u00adü\u0308א٣Aⅷ\u200b\u2028\ufffd"),
    ),
    min_size=1,
    max_size=24,
)
