"""The books, and the modules of the standard library that each chapter is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChapterPlan:
    """A chapter to be: its title, and the modules it is made of, as far as this Python has them."""

    title: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BookPlan:
    """A book to be."""

    id: str
    title: str
    tags: tuple[str, ...]
    chapters: tuple[ChapterPlan, ...]


def _book(book: str, title: str, tags: str, **chapters: str) -> BookPlan:
    """Return a plan, its chapters written as ``Title_with_underscores="modules"``."""
    plans = (ChapterPlan(name.replace("_", " "), tuple(text.split())) for name, text in chapters.items())
    return BookPlan(book, title, ("Python", *tags.split(", ")), tuple(plans))


def plans() -> tuple[BookPlan, ...]:
    """Return the plans of all books."""
    return (
        _book(
            "concurrency",
            "Concurrency",
            "Concurrency",
            Threads="threading queue sched contextvars",
            Event_loops="asyncio.base_events asyncio.events asyncio.runners asyncio.futures",
            Tasks_and_streams="asyncio.tasks asyncio.locks asyncio.queues asyncio.streams asyncio.timeouts "
            "asyncio.taskgroups asyncio.subprocess",
            Protocols_and_transports="asyncio.protocols asyncio.transports asyncio.sslproto "
            "asyncio.selector_events asyncio.unix_events asyncio.staggered selectors",
            Processes="concurrent.futures._base concurrent.futures.thread concurrent.futures.process "
            "multiprocessing.context multiprocessing.managers multiprocessing.process multiprocessing.connection "
            "multiprocessing.shared_memory multiprocessing.pool multiprocessing.reduction",
        ),
        _book(
            "networking",
            "Networking",
            "Networking, Internet",
            Sockets="socket ssl",
            Servers="socketserver http.server",
            Addresses="ipaddress",
            Clients="urllib.request http.client urllib.error urllib.response",
            Names_of_resources="urllib.parse urllib.robotparser mimetypes webbrowser",
        ),
        _book(
            "internet-protocols",
            "Internet Protocols",
            "Internet, Protocols",
            Sending_mail="smtplib",
            Reading_mail="imaplib poplib",
            Moving_files="ftplib netrc",
            Cookies="http.cookiejar http.cookies",
            Calling_from_afar="xmlrpc.client xmlrpc.server",
            Web_gateways="wsgiref.handlers wsgiref.headers wsgiref.simple_server wsgiref.util wsgiref.validate",
        ),
        _book(
            "mail",
            "Mail and Messages",
            "Internet, Text",
            Messages="email.message email",
            Reading_and_writing="email.parser email.feedparser email.generator email.policy email._policybase "
            "email.contentmanager",
            Headers="email.header email.headerregistry email.utils email._parseaddr email.errors",
            Encodings="email.charset email.quoprimime email.base64mime email.encoders email._encoded_words "
            "base64 quopri email._header_value_parser",
            Mailboxes="mailbox",
        ),
        _book(
            "text",
            "Text",
            "Text",
            Comparing="difflib",
            Codecs="codecs encodings stringprep",
            Patterns_and_wrapping="re textwrap string fnmatch shlex reprlib",
            Configuration="configparser fileinput linecache",
            Languages="locale gettext html html.parser html.entities tokenize",
        ),
        _book(
            "data-structures",
            "Data Structures",
            "Data",
            Collections="collections _collections_abc",
            Enumerations_and_records="enum dataclasses types",
            Order="heapq bisect graphlib operator keyword",
            References_and_copies="weakref _weakrefset copy copyreg _threading_local pprint",
            Functions_as_data="functools contextlib abc",
        ),
        _book(
            "files-and-folders",
            "Files and Folders",
            "Files",
            The_operating_system="os posixpath ntpath genericpath stat",
            Paths="pathlib pathlib._abc pathlib._local pathlib._os glob filecmp tempfile",
            Copying_and_compression="shutil gzip bz2 lzma _compression",
            Archives="tarfile zipfile zipfile._path zipimport",
            Streams="_pyio io",
        ),
        _book(
            "numbers-and-time",
            "Numbers and Time",
            "Mathematics, Data",
            Statistics="statistics",
            Kinds_of_numbers="numbers fractions colorsys",
            Decimal_numbers="_pydecimal",
            Chance_and_secrets="random secrets hashlib hmac uuid",
            Dates="datetime _pydatetime calendar _strptime zoneinfo._zoneinfo zoneinfo._common",
        ),
        _book(
            "testing-and-debugging",
            "Testing and Debugging",
            "Testing",
            Examples_as_tests="doctest",
            Unit_tests="unittest unittest.case unittest.suite unittest.loader unittest.result unittest.runner "
            "unittest.async_case unittest.util",
            Mocks="unittest.mock",
            Debuggers="pdb bdb cmd rlcompleter",
            Traces_and_times="traceback trace tracemalloc timeit profile pstats cProfile faulthandler",
        ),
        _book(
            "the-language",
            "The Language Itself",
            "Language",
            Types="typing",
            Inspection="inspect",
            Syntax="ast dis symtable tokenize codeop py_compile compileall pickletools",
            Imports="importlib importlib.abc importlib._bootstrap importlib._bootstrap_external importlib.util "
            "importlib.metadata importlib.resources.abc pkgutil runpy",
            Surroundings="warnings platform site sysconfig __future__ atexit pydoc",
        ),
        _book(
            "programs-and-people",
            "Programs and People",
            "Programs",
            Command_lines="argparse code getpass",
            Options="optparse getopt",
            Logging="logging",
            Log_handlers="logging.handlers logging.config",
            Other_programs="subprocess signal venv pty",
        ),
        _book(
            "data-formats",
            "Data Formats",
            "Data, Formats",
            Element_trees="xml.etree.ElementTree xml.etree.ElementPath",
            Events_of_XML="xml.sax.handler xml.sax.xmlreader xml.sax.saxutils xml.sax.expatreader "
            "xml.sax._exceptions xml.sax",
            Documents="xml.dom.minidom xml.dom.expatbuilder xml.dom.pulldom xml.dom.domreg xml.dom",
            JSON_and_tables="json json.decoder json.encoder json.scanner csv plistlib sqlite3 sqlite3.dump",
            Pickles_and_shelves="pickle shelve dbm dbm.dumb wave",
        ),
    )
