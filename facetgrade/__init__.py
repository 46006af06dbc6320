"""Grade facet joint synovitis on lumbar MRI."""
