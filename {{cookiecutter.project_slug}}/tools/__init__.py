"""What runs beside the deployer, on a laptop and on the pipeline's runner, and is not in the image.

`image` and `build` name and build the image, `github` writes comments and issues, `install`
installs packages, `up` starts everything on this machine.
"""
