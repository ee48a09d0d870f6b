"""Draw a model at work: in a terminal, as SVG, and as pages that need no network.

- `colours`: the colours of all pictures, light and dark
- `svg`: texts, numbers and the frame of a picture
- `grid`: a table of numbers as a grid of colours
- `heat_map`, `shaded_words`: a score, by pairs of words and by words
- `attention`: a layer's weights
- `matrix`: vectors as strips of colour
- `curves`: losses and measures by steps
- `terminal`: words on their shades, for a terminal
- `xray`: the forward pass of a text, small enough for a page
- `page`: one HTML page that needs no network
- `explanation_page`: a score as a page, with `explanation.html`, `.css` and `.js`
- `occlusion_page`: a score that is no sum, as a page
- `projection`: vectors -> their places on a plane
- `corpus_map`: a corpus -> the places of its documents on a map
- `training_run`: settings and log of a training run, from its folder
- `training_page`: a training run as a page, with `training.html`, `.css` and `.js`
- `map_page`: a map as a page, with `map.html`, `.css` and `.js`
"""
