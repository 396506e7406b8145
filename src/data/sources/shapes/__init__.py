"""The generated data set: lit silhouettes of VOC's twenty classes, written to disk in VOC's layout.

From files down to strokes: `dataset` writes the files. `render` paints one image from a `layout`. A `layout` places
`silhouettes` (drawn in `person`, `animals`, `vehicles`, `indoor`, `scenery`) in `scenes` (with `backgrounds`). A `pen`
draws them with `paint`, which has `textures`.
"""
