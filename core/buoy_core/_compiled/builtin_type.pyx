"""Puts a descriptor on a built-in type, which Python code may not."""

cdef extern from *:
    """
    static PyObject *buoy_type_dict(PyTypeObject *type) {
    #if PY_VERSION_HEX >= 0x030C0000
        return PyType_GetDict(type); /* tp_dict of a built-in type is empty: each interpreter has its own */
    #else
        Py_XINCREF(type->tp_dict);
        return type->tp_dict;
    #endif
    }
    """
    dict buoy_type_dict(type kind)
    void PyType_Modified(type kind) noexcept


def put_descriptor(type kind, str name, object descriptor):
    """Replaces what `kind` itself defines as `name`, and returns that.

    Raises:
        KeyError: it defines no such name.
    """
    cdef dict names = buoy_type_dict(kind)
    earlier = names[name]
    names[name] = descriptor
    # Attribute look-ups are cached by the type's version.
    PyType_Modified(kind)
    return earlier
