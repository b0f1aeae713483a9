"""What a run was like, for people: a model of it, a recorder that fills it, JSON, and one self-contained HTML file.

``model`` says what a run is; ``recorder`` and ``recorded`` fill it while machines run; ``codec`` is its JSON; ``files`` writes
both forms; ``html`` draws it.

    recorder = Recorder("nightly")
    lab = RecordedLab.over(Lab.open(folder), recorder)
    with lab.machine("appliance", image) as machine:
        machine.boot()
        machine.wait_until_ready()
    write_report(recorder.run(), Path("report.html"))
"""
