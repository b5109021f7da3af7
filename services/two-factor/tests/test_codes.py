from two_factor import codes


def test_recovery_codes_are_many_and_never_alike() -> None:
    made = codes.new_recovery_codes()
    assert len(set(made)) == codes.RECOVERY_CODES
    assert all(codes.is_recovery_code(code) for code in made)


def test_a_recovery_code_may_be_typed_loosely() -> None:
    code = codes.new_recovery_codes()[0]
    typed = f" {code.upper().replace('-', ' ')} "
    assert codes.is_recovery_code(typed)
    assert codes.same(codes.hashed("ada", typed), codes.hashed("ada", code))


def test_a_code_belongs_to_its_owner() -> None:
    code = codes.new_one_time_code()
    assert len(code) == codes.ONE_TIME_DIGITS
    assert not codes.same(codes.hashed("ada", code), codes.hashed("eve", code))
    assert not codes.is_recovery_code(code)
