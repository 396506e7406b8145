"""The generated data set: lit silhouettes of VOC's twenty classes, written to disk in VOC's layout.

From the disk down to a stroke: `dataset` writes the files, `render` paints an image of a `layout`, which places
`silhouettes` (drawn in `person`, `animals`, `vehicles`, `indoor`, `scenery`) in `scenes` (on `backgrounds`); a `pen`
draws them with `paint` that has `textures`.
"""
