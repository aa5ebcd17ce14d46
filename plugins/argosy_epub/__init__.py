"""How an EPUB is made: chapters are cleaned, references resolved, and all of it is put into a container.

=============  ==============================================================================
`kinds`        what a file is, by its bytes
`decoding`     bytes of HTML to text
`tree`         a tree of XML, and how it is written
`elements`     what HTML has, and where it may stand
`cleaning`     tag soup to a tree with nothing but that in it
`attributes`   what elements may say
`media`        images, sounds, films, frames
`content`      each thing into a place where it may stand
`tables`       the same for tables
`foreign`      SVG and MathML
`styles`       CSS
`selectors`    what of it older readers know
`members`      the files of a book, and what a reference in one of them leads to
`metadata`     what an item says about its book
`chapters`     one chapter, from bytes to XHTML
`pages`        documents of XHTML
`package`      the package document and the tables of contents
`archive`      the container
`book`         all of it, in order
=============  ==============================================================================
"""
