"""The live station: a picture from the microscope, a key, a verdict on the screen. Started by ``python -m station``.

Data flow:
    source -> frame -> tracker -> sight (fibre, zones, focus, exposure), in a thread of its own (``live``)
    key -> the newest frame as PNG bytes -> the batch's inspection in a second thread -> result (``session``)
    save -> picture, files and record in OUTPUT, as ``main.py`` writes them (``output``)
    sight or result -> picture with drawings (``drawing``) -> window: Qt (``screen``) or plain OpenCV (``plain``)

Only ``screen`` knows Qt; everything else runs and is tested without it.
"""
