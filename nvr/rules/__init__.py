"""When this, then that.

Here: the words of a rule, its triggers and its actions at the camera (words); when a schedule is, by the clock on the
wall (schedule); what the camera's changes mean to the rules (lines, book); what a rule would do, said in
sentences (explain); and when a camera patrols or goes back (tours).
Not here: what footage an alarm keeps (record.clips), the alarm port itself (camera), its lines (jvc.alarm).
Way in: `RuleBook.answers(changes, utc_us, mono_us)` for each report, `RuleBook.tick(utc_us, mono_us)` every second or
two and when `RuleBook.due_us` has come.
"""
