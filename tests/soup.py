"""Random tag soup, the same for the same seed: elements of all kinds in each other, closed or not."""

from __future__ import annotations

import random


def words(text: str) -> list[str]:
    """Return the words of a text: easier to read than a list."""
    return text.split()


_OPENED = words(
    "<a href=#x> <a href=2.html#y> <p> <b> <i> <div> <span> <table> <tr> <td> <th> <thead> <tbody> <tfoot> <caption> <colgroup> "
    "<col> <ul> <ol> <li> <dl> <dt> <dd> <h1> <h2> <pre> <ruby> <rt> <rp> <svg> <g> <text> <tspan> <circle_r=2> <use_href=#x> <math> "
    "<mi> <mn> <mo> <mfrac> <msup> <mtable> <mtr> <mtd> <msqrt> <mtext> <details> <summary> <figure> <figcaption> <section> "
    "<article> <header> <footer> <main> <nav> <address> <form> <fieldset> <legend> <button> <label> <select> <option> "
    "<iframe_src=http://x.example> <object> <video> <audio> <img_src=p.png_alt=a> <br> <hr> <blockquote> <q> <del> <ins> <abbr> "
    "<sub> <code> <font_color=red> <center> <small> <time> <data> <bdo_dir=rtl> <dfn> <kbd> <mark> <noscript> <template> <style> "
    "<title> <x-y> <dialog> <hgroup> <menu> <dir> <p_id=x> <b_id=y> <a_name=z> <td_colspan=3> <ol_start=5_type=a> <li_value=3> "
    "<p_lang=de> <p_align=center> <p_epub:type=z3998:x> <td_width=5%>"
)
_CLOSED = words(
    "a p b i div span table tr td ul li ol dl dd h1 pre ruby svg g math section figure details summary caption"
)
_TEXTS = ("text ", " ", "\n", "&amp;", "x")


def soup(seed: int, most: int = 60) -> str:
    """Return a piece of tag soup.

    Parameters
    ----------
    seed
        Which one.
    most
        Tags and texts in it, at the most.
    """
    chance = random.Random(seed)
    parts = []
    for _ in range(chance.randrange(4, most)):
        kind = chance.random()
        if kind < 0.55:
            parts.append(chance.choice(_OPENED).replace("_", " "))
        else:
            parts.append(f"</{chance.choice(_CLOSED)}>" if kind < 0.75 else chance.choice(_TEXTS))
    return "".join(parts)
