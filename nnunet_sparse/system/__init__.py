"""What every command stands on, whatever it is about: errors, files, processes, settings.

Nothing here knows of data sets, slices or networks.

Commands: ``command`` is the frame of each, ``options`` the options that many share, ``errors`` what
ends them in one line, ``wording`` and ``foreign_code`` how it is put. Files: ``atomic`` writes one,
``publication`` a folder that appears whole, ``locks``, ``links`` and ``digests`` as they say;
``regular_files`` refuses pipes and devices, ``walking`` looks through folders; ``json_files`` reads
JSON, ``json_form`` checks what it holds, ``file_names`` names in it; ``exact_json`` is JSON that
keeps arrays, ``plain_pickle`` reads pickles without running them, ``spreadsheet`` and
``spreadsheet_cells`` read tables of people.
Processes and the machine:
``parallel`` and ``workers``, ``process_end``, ``standard_streams``,
``devices``, ``env``, ``paths`` (nnU-Net's folders), ``nnunet_model``
(nnU-Net's model folders), ``pipeline`` (commands one after the other), ``software``,
``randomness``. Settings that people write: ``schema``. Networks of ours that are trained once:
``model_folder``, ``resumable``, ``checkpoint``. Pictures as equal files: ``figures``.
"""
