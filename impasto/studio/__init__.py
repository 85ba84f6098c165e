"""The page where people paint: Gradio's parts in front of the verbs' Python functions. Gradio is loaded by nothing else.

Every tab is a file. Torch is imported inside functions, for the page is to answer before it is there.
"""
