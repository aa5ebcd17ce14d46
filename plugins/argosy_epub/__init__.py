"""Creates EPUB 3 files: cleans the chapters, resolves references, and packs everything into a container.

=============  =============================================================
`kinds`        detects file types by content
`decoding`     decodes HTML
`tree`         an XML tree and its serializer
`elements`     tables of HTML elements and where they may appear
`cleaning`     turns tag soup into a clean tree
`attributes`   cleans attributes
`media`        images, audio, video, frames
`content`      fixes the nesting of elements
`tables`       the same for tables
`foreign`      SVG and MathML
`styles`       CSS
`selectors`    CSS that older readers know
`members`      the files of a book and the references between them
`metadata`     the metadata of a book
`chapters`     one chapter, from bytes to XHTML
`pages`        XHTML documents
`package`      the package document and the tables of contents
`archive`      the container
`book`         the whole book; start here
=============  =============================================================
"""
